/**
 * Steering of frames to queues. Exact-match rules of five values come first, then rules of three,
 * then RSS: a table of queues that the flow's hash indexes.
 *
 * Only rules steer to queues bound to device memory: other flows do not belong to their owner
 * (Linux, Documentation/networking/devmem.rst).
 */

import { checkInteger } from '../../../errors.ts'
import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from '../../../wire/ip.ts'
import { DeviceError } from '../../device-error.ts'
import { MAX_STEERING_RULES, RSS_TABLE_ENTRIES, type SteeringRule } from '../../rings/nic-types.ts'

/** A rule and the bytes that frames are compared with. */
interface CompiledRule {
  readonly location: number
  readonly rule: SteeringRule
  readonly protocol: number
  readonly key: number
}

/** Returns the RSS table that spreads flows evenly over `queues`. */
export function spreadRss(queues: readonly number[]): number[] {
  return Array.from({ length: RSS_TABLE_ENTRIES }, (_, entry) => queues[entry % queues.length] ?? 0)
}

export class Steering {
  readonly #queues: number
  /** The RSS table as it was set. */
  readonly #table = new Uint16Array(RSS_TABLE_ENTRIES)
  /** The RSS table in effect: without bound queues. */
  readonly #effective = new Uint16Array(RSS_TABLE_ENTRIES)
  readonly #bound = new Set<number>()
  readonly #byLocation: (CompiledRule | undefined)[] = []
  /** Rules by the key of their tuple, a number: `Map.get` makes no garbage then. */
  readonly #fiveTuples = new Map<number, CompiledRule[]>()
  readonly #threeTuples = new Map<number, CompiledRule[]>()

  constructor(queues: number) {
    this.#queues = queues
    this.#table.set(spreadRss(Array.from({ length: queues }, (_, queue) => queue)))
    this.#apply()
  }

  /** Returns the queue of the first rule that matches; −1 without a match. */
  match(bytes: Uint8Array, frameOffset: number, layout: FrameLayout): number {
    if (layout.kind !== FrameKind.tcp && layout.kind !== FrameKind.udp) return -1
    if (this.#fiveTuples.size === 0 && this.#threeTuples.size === 0) return -1
    const destination = frameOffset + layout.destinationOffset
    const { addressBytes } = layout
    const key = mix(
      (layout.protocol << 16) | layout.destinationPort,
      bytes,
      destination,
      addressBytes,
    )
    if (this.#fiveTuples.size !== 0) {
      const source = frameOffset + layout.sourceOffset
      const fullKey = mix(key ^ layout.sourcePort, bytes, source, addressBytes)
      const rules = this.#fiveTuples.get(fullKey)
      if (rules !== undefined) {
        const queue = find(rules, bytes, frameOffset, layout)
        if (queue >= 0) return queue
      }
    }
    const rules = this.#threeTuples.get(key)
    return rules === undefined ? -1 : find(rules, bytes, frameOffset, layout)
  }

  /**
   * Returns the queue of a hash, whose lowest bits are the index, as in Microsoft's definition of
   * RSS.
   */
  spread(hash: number): number {
    return this.#effective[hash & (RSS_TABLE_ENTRIES - 1)] ?? 0
  }

  /** The table in effect. */
  get table(): number[] {
    return [...this.#effective]
  }

  /** Removes a queue from the table in effect, or restores it. */
  setBound(queue: number, bound: boolean): void {
    if (bound) this.#bound.add(queue)
    else this.#bound.delete(queue)
    this.#apply()
  }

  setTable(table: ArrayLike<number>): void {
    if (table.length !== RSS_TABLE_ENTRIES) {
      throw configError(
        `The RSS table has ${RSS_TABLE_ENTRIES} entries, not ${table.length}. Pass one queue for each.`,
      )
    }
    for (let entry = 0; entry < RSS_TABLE_ENTRIES; entry++) this.#checkQueue(table[entry])
    this.#table.set(table)
    this.#apply()
  }

  add(rule: SteeringRule): number {
    this.#checkQueue(rule.queue)
    if (rule.source !== undefined) checkInteger('source.port', rule.source.port, 0, 0xffff)
    checkInteger('destinationPort', rule.destinationPort, 0, 0xffff)
    if (rule.protocol !== 'tcp' && rule.protocol !== 'udp') {
      throw configError(`A steering rule is for 'tcp' or 'udp', not ${String(rule.protocol)}.`)
    }
    const { length } = addressOf(rule.destinationAddress)
    if (
      (length !== 4 && length !== 16) ||
      (rule.source !== undefined && addressOf(rule.source.address).length !== length)
    ) {
      throw configError('The addresses of a steering rule have 4 bytes each, or 16 each.')
    }
    const copy = copyOf(rule)
    const { source } = copy
    const protocol = copy.protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP
    let key = mix((protocol << 16) | copy.destinationPort, copy.destinationAddress, 0, length)
    if (source !== undefined) key = mix(key ^ source.port, source.address, 0, length)
    const buckets = source === undefined ? this.#threeTuples : this.#fiveTuples
    const bucket = buckets.get(key) ?? []
    if (bucket.some((other) => sameTuple(other.rule, copy))) {
      throw new DeviceError(
        'NETMEM_NIC_CONFIG',
        'EEXIST',
        'There is a steering rule for these addresses and ports. Remove it first.',
      )
    }
    let location = this.#byLocation.indexOf(undefined)
    if (location < 0) location = this.#byLocation.length
    if (location >= MAX_STEERING_RULES) {
      throw new DeviceError(
        'NETMEM_NIC_CONFIG',
        'ENOSPC',
        `A NIC has at most ${MAX_STEERING_RULES} steering rules. Remove those no longer needed.`,
      )
    }
    const compiled: CompiledRule = { location, rule: copy, protocol, key }
    this.#byLocation[location] = compiled
    bucket.push(compiled)
    buckets.set(key, bucket)
    return location
  }

  remove(location: number): void {
    const compiled = this.#byLocation[location]
    if (compiled === undefined) {
      throw configError(`There is no steering rule at location ${location}.`)
    }
    this.#byLocation[location] = undefined
    const buckets = compiled.rule.source === undefined ? this.#threeTuples : this.#fiveTuples
    const bucket = buckets.get(compiled.key) ?? []
    bucket.splice(bucket.indexOf(compiled), 1)
    if (bucket.length === 0) buckets.delete(compiled.key)
  }

  /**
   * Distributes the entries of bound queues in turn: over the other queues that the table names, or
   * over all others if it names none.
   */
  #apply(): void {
    this.#effective.set(this.#table)
    if (this.#bound.size === 0) return
    const unbound = (queue: number): boolean => !this.#bound.has(queue)
    let others = [...new Set(this.#table)].filter(unbound)
    if (others.length === 0) {
      others = Array.from({ length: this.#queues }, (_, queue) => queue).filter(unbound)
    }
    if (others.length === 0) return
    let turn = 0
    for (const [entry, queue] of this.#table.entries()) {
      if (this.#bound.has(queue)) this.#effective[entry] = others[turn++ % others.length] ?? 0
    }
  }

  #checkQueue(queue: number | undefined): void {
    if (queue !== undefined && Number.isInteger(queue) && queue >= 0 && queue < this.#queues) return
    throw configError(`There is no queue ${queue}; this NIC has 0 to ${this.#queues - 1}.`)
  }
}

function configError(message: string): DeviceError {
  return new DeviceError('NETMEM_NIC_CONFIG', 'EINVAL', message)
}

/** Checks an address of a rule, which comes from another thread as plain data. */
function addressOf(address: Uint8Array): Uint8Array {
  if (address instanceof Uint8Array) return address
  throw configError('The addresses of a steering rule are Uint8Arrays, in network order.')
}

/** Copies a rule, since its caller may change it later. */
function copyOf(rule: SteeringRule): SteeringRule {
  const { protocol, destinationPort, queue, source } = rule
  const destinationAddress = new Uint8Array(rule.destinationAddress)
  const plain = { protocol, destinationAddress, destinationPort, queue }
  if (source === undefined) return plain
  return { ...plain, source: { address: new Uint8Array(source.address), port: source.port } }
}

function find(
  rules: CompiledRule[],
  bytes: Uint8Array,
  frameOffset: number,
  layout: FrameLayout,
): number {
  for (let at = 0; at < rules.length; at++) {
    const compiled = rules[at]
    if (compiled === undefined || compiled.protocol !== layout.protocol) continue
    const { rule } = compiled
    if (rule.destinationPort !== layout.destinationPort) continue
    if (rule.destinationAddress.length !== layout.addressBytes) continue
    if (!equal(rule.destinationAddress, bytes, frameOffset + layout.destinationOffset)) continue
    const { source } = rule
    if (source !== undefined) {
      if (source.port !== layout.sourcePort) continue
      if (!equal(source.address, bytes, frameOffset + layout.sourceOffset)) continue
    }
    return rule.queue
  }
  return -1
}

function equal(address: Uint8Array, bytes: Uint8Array, offset: number): boolean {
  for (let at = 0; at < address.length; at++) {
    if (address[at] !== bytes[offset + at]) return false
  }
  return true
}

function sameTuple(one: SteeringRule, other: SteeringRule): boolean {
  return (
    one.protocol === other.protocol &&
    one.destinationPort === other.destinationPort &&
    one.destinationAddress.length === other.destinationAddress.length &&
    equal(one.destinationAddress, other.destinationAddress, 0) &&
    (one.source === undefined ||
      other.source === undefined ||
      (one.source.port === other.source.port && equal(one.source.address, other.source.address, 0)))
  )
}

/** FNV-1a's step over the bytes of an address. */
function mix(initial: number, bytes: Uint8Array, offset: number, length: number): number {
  let key = initial
  for (let at = offset; at < offset + length; at++) {
    key = Math.imul(key ^ (bytes[at] ?? 0), 0x0100_0193)
  }
  return key
}
