/**
 * Steering of frames to queues. Exact rules of five values come first, then exact rules of three, then
 * rules with masks, then RSS: a table of queues that the flow's hash indexes.
 *
 * Table, key and rules are the host's alone. Binding a queue to device memory does not change them, as in
 * Linux, which leaves them to ethtool (Documentation/networking/devmem.rst).
 */

import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'
import {
  createToeplitzTable,
  DEFAULT_RSS_KEY,
  type ToeplitzTable,
  toeplitzHash,
} from '../../../wire/toeplitz.ts'
import { DeviceError } from '../../device-error.ts'
import { MAX_STEERING_RULES, RSS_TABLE_ENTRIES, type SteeringRule } from '../../rings/nic-types.ts'
import { type CompiledRule, compileRule, hashAddress, matches } from './compiled-rule.ts'
import { configError } from './queue-config.ts'

/** Table of the default key, which most NICs keep. */
const DEFAULT_TOEPLITZ_TABLE = createToeplitzTable(DEFAULT_RSS_KEY)

/** Returns the RSS table that spreads flows evenly over `queues`. */
export function spreadRss(queues: readonly number[]): number[] {
  return Array.from({ length: RSS_TABLE_ENTRIES }, (_, entry) => queues[entry % queues.length] ?? 0)
}

export class Steering {
  readonly #queues: number
  readonly #table = new Uint16Array(RSS_TABLE_ENTRIES)
  #key: Readonly<Uint8Array> = DEFAULT_RSS_KEY
  #toeplitzTable: ToeplitzTable = DEFAULT_TOEPLITZ_TABLE
  readonly #byLocation = new Map<number, CompiledRule>()
  /** Rules of each kind by their keys, which are numbers: `Map.get` makes no garbage then. */
  readonly #byKey = {
    fiveTuple: new Map<number, CompiledRule[]>(),
    threeTuple: new Map<number, CompiledRule[]>(),
    masked: new Map<number, CompiledRule[]>(),
  }
  /** Rules with masks, which all have one key: each frame that no exact rule matches needs them. */
  #masked: readonly CompiledRule[] | undefined

  constructor(queues: number) {
    this.#queues = queues
    this.resetRss()
  }

  /** Sets the default key and table, which spreads flows evenly over all queues. */
  resetRss(): void {
    this.#key = DEFAULT_RSS_KEY
    this.#toeplitzTable = DEFAULT_TOEPLITZ_TABLE
    this.#table.set(spreadRss(Array.from({ length: this.#queues }, (_, queue) => queue)))
  }

  /** Returns the queue of the first rule that matches, or −1 without a match. */
  match(bytes: Uint8Array, frameOffset: number, layout: FrameLayout): number {
    if (this.#byLocation.size === 0) return -1
    if (layout.kind !== FrameKind.tcp && layout.kind !== FrameKind.udp) return -1
    const { addressBytes } = layout
    const { fiveTuple, threeTuple } = this.#byKey
    if (fiveTuple.size !== 0 || threeTuple.size !== 0) {
      const first = (layout.protocol << 16) | layout.destinationPort
      const key = hashAddress(first, bytes, frameOffset + layout.destinationOffset, addressBytes)
      const source = frameOffset + layout.sourceOffset
      const fullKey = hashAddress(key ^ layout.sourcePort, bytes, source, addressBytes)
      const exact = find(fiveTuple.get(fullKey), bytes, frameOffset, layout)
      if (exact >= 0) return exact
      const queue = find(threeTuple.get(key), bytes, frameOffset, layout)
      if (queue >= 0) return queue
    }
    return find(this.#masked, bytes, frameOffset, layout)
  }

  /** Returns the hash of a frame's flow, as signed 32-bit. */
  hash(bytes: Uint8Array, frameOffset: number, layout: FrameLayout): number {
    return toeplitzHash(this.#toeplitzTable, bytes, frameOffset, layout) | 0
  }

  /**
   * Returns the queue of a hash, whose lowest bits are the index, as in Microsoft's definition of
   * RSS.
   */
  spread(hash: number): number {
    return this.#table[hash & (RSS_TABLE_ENTRIES - 1)] ?? 0
  }

  /** RSS table: a queue for each of its 128 entries. */
  get rssTable(): number[] {
    return [...this.#table]
  }

  /**
   * Sets the whole RSS table.
   *
   * @throws NETMEM_NIC_CONFIG, with nothing changed, for another length or an unknown queue.
   */
  setRssTable(table: ArrayLike<number>): void {
    if (table.length !== RSS_TABLE_ENTRIES) {
      throw configError(
        `The RSS table has ${RSS_TABLE_ENTRIES} entries, not ${table.length}. Pass one queue for each.`,
      )
    }
    for (let entry = 0; entry < RSS_TABLE_ENTRIES; entry++) this.#checkQueue(table[entry])
    this.#table.set(table)
  }

  /** A copy of the RSS key, of 40 bytes. */
  get rssKey(): Uint8Array {
    return new Uint8Array(this.#key)
  }

  /** @throws NETMEM_NIC_CONFIG, NETMEM_OUT_OF_RANGE for another length than 40 bytes. */
  setRssKey(key: Readonly<Uint8Array>): void {
    if (!(key instanceof Uint8Array)) throw configError('The RSS key is a Uint8Array.')
    const copy = new Uint8Array(key)
    this.#toeplitzTable = createToeplitzTable(copy)
    this.#key = copy
  }

  /**
   * Adds a rule and returns its location.
   *
   * @throws NETMEM_NIC_CONFIG (EINVAL, EEXIST, ENOSPC), NETMEM_OUT_OF_RANGE for a port or location.
   */
  addRule(rule: SteeringRule): number {
    this.#checkQueue(rule.queue)
    const compiled = compileRule(rule)
    if ([...this.#byLocation.values()].some(({ identity }) => identity === compiled.identity)) {
      throw exists('There is a steering rule for these addresses and ports. Remove it first.')
    }
    const location = this.#place(rule.location)
    this.#byLocation.set(location, compiled)
    this.#sort()
    return location
  }

  /** @throws NETMEM_NIC_CONFIG if there is no rule at that location. */
  removeRule(location: number): void {
    if (!this.#byLocation.delete(location)) {
      throw configError(`There is no steering rule at location ${location}.`)
    }
    this.#sort()
  }

  /** Sorts the rules by kind and key, and by location where these are equal. */
  #sort(): void {
    for (const rules of Object.values(this.#byKey)) rules.clear()
    for (const [, rule] of [...this.#byLocation].sort(([one], [other]) => one - other)) {
      const rules = this.#byKey[rule.kind]
      const alike = rules.get(rule.key) ?? []
      alike.push(rule)
      rules.set(rule.key, alike)
    }
    this.#masked = this.#byKey.masked.get(0)
  }

  /** Returns the location of a rule: the one asked for, or the lowest free one. */
  #place(wanted: number | undefined): number {
    if (wanted !== undefined) {
      if (!this.#byLocation.has(wanted)) return wanted
      throw exists(`There is a steering rule at location ${wanted}. Remove it first.`)
    }
    for (let location = 0; location < MAX_STEERING_RULES; location++) {
      if (!this.#byLocation.has(location)) return location
    }
    throw new DeviceError(
      'NETMEM_NIC_CONFIG',
      'ENOSPC',
      `A NIC has at most ${MAX_STEERING_RULES} steering rules. Remove those no longer needed.`,
    )
  }

  #checkQueue(queue: number | undefined): void {
    if (queue !== undefined && Number.isInteger(queue) && queue >= 0 && queue < this.#queues) return
    throw configError(`There is no queue ${queue}; this NIC has 0 to ${this.#queues - 1}.`)
  }
}

function exists(message: string): DeviceError {
  return new DeviceError('NETMEM_NIC_CONFIG', 'EEXIST', message)
}

function find(
  rules: readonly CompiledRule[] | undefined,
  bytes: Uint8Array,
  frameOffset: number,
  layout: FrameLayout,
): number {
  if (rules === undefined) return -1
  for (let at = 0; at < rules.length; at++) {
    const rule = rules[at]
    if (rule !== undefined && matches(rule, bytes, frameOffset, layout)) return rule.queue
  }
  return -1
}
