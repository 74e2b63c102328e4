/** Commands that set and tell flow rules (K: gve_adminq.h, struct gve_adminq_flow_rule). */

import { addressAt, type GuestDma } from '../guest-dma.ts'
import { type Handler, Status } from './admin-layout.ts'
import { MAX_FLOW_RULES } from './describe-device.ts'

/** Bytes of the command that changes a rule. */
export const CONFIGURE_RULE_BYTES = 92

const ADD = 0
const DELETE = 1
const RESET = 2
const QUERY_RULES = 0
const QUERY_LOCATIONS = 1
const QUERY_COUNTS = 2

// Offsets in the command that changes a rule.
const RULE = 4
const LOCATION = 88
/** Bytes of a rule: type, queue, key and mask. */
const RULE_BYTES = 84
// Offsets in a rule.
const QUEUE = 2
const KEY = 4
const MASK = 44
// Offsets in a key or a mask. An IPv4 address is the first 4 bytes of its place.
const SOURCE = 0
const DESTINATION = 16
const SOURCE_PORT = 32
const DESTINATION_PORT = 34
const TRAFFIC_CLASS = 36

const ANSWER_BYTES = 16
const MAX_ANSWER_BYTES = 4096

/** Fields of a packet that a rule compares, and the bits of them that count. */
interface FlowFields {
  /** Addresses of 4 or 16 bytes, in network order. */
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly sourcePort: number
  readonly destinationPort: number
}

/** Rule as the NIC takes it. */
export interface GvnicFlowRule {
  readonly protocol: 'tcp' | 'udp'
  readonly ipVersion: 4 | 6
  readonly key: FlowFields
  readonly mask: FlowFields
  readonly queue: number
}

/** Part of the NIC that has the rules, by their locations. */
export interface RulesTarget {
  /** Returns false without any change if another location has a rule for the same packets. */
  setRule(location: number, rule: GvnicFlowRule): boolean
  removeRule(location: number): void
}

/** Types of flows that the card steers: the others are refused. */
const TYPES: ReadonlyMap<number, Pick<GvnicFlowRule, 'protocol' | 'ipVersion'>> = new Map([
  [0, { protocol: 'tcp', ipVersion: 4 }],
  [1, { protocol: 'udp', ipVersion: 4 }],
  [5, { protocol: 'tcp', ipVersion: 6 }],
  [6, { protocol: 'udp', ipVersion: 6 }],
])

export class CardFlowRules {
  readonly #guest: GuestDma
  readonly #target: RulesTarget
  readonly #queues: number
  /** Rules as the driver gave them, by ascending location. */
  #rules: readonly { readonly location: number; readonly bytes: Uint8Array }[] = []

  constructor(guest: GuestDma, target: RulesTarget, queues: number) {
    this.#guest = guest
    this.#target = target
    this.#queues = queues
  }

  /** Number of rules. */
  get count(): number {
    return this.#rules.length
  }

  /** Removes all rules. */
  clear(): void {
    for (const { location } of this.#rules) this.#target.removeRule(location)
    this.#rules = []
  }

  /** Adds or removes a rule, or removes all. */
  readonly configure: Handler = (command) => {
    const location = command.getUint32(LOCATION)
    switch (command.getUint16(0)) {
      case ADD:
        return this.#add(location, new Uint8Array(command.buffer, RULE, RULE_BYTES))
      case DELETE:
        return this.#remove(location)
      case RESET:
        this.clear()
        return Status.passed
      default:
        return Status.invalidArgument
    }
  }

  /** Tells rules, their locations, or only how many there are and may be. */
  readonly query: Handler = (command) => {
    const kind = command.getUint16(0)
    const from = command.getUint32(4)
    const room = Math.min(addressAt(command, 8), MAX_ANSWER_BYTES) - ANSWER_BYTES
    if (kind > QUERY_COUNTS || room < 0) return Status.invalidArgument
    const entryBytes = kind === QUERY_RULES ? 4 + RULE_BYTES : 4
    const wanted = kind === QUERY_COUNTS ? [] : this.#rules.filter((rule) => rule.location >= from)
    const told = wanted.slice(0, Math.floor(room / entryBytes))
    const answer = new Uint8Array(ANSWER_BYTES + told.length * entryBytes)
    const view = new DataView(answer.buffer)
    view.setUint32(0, this.#rules.length)
    view.setUint32(4, MAX_FLOW_RULES)
    view.setUint32(8, told.length)
    view.setUint32(12, answer.length)
    for (const [index, { location, bytes }] of told.entries()) {
      const at = ANSWER_BYTES + index * entryBytes
      view.setUint32(at, location)
      if (kind !== QUERY_LOCATIONS) answer.set(bytes, at + 4)
    }
    return this.#guest.write(addressAt(command, 16), answer)
      ? Status.passed
      : Status.invalidArgument
  }

  #add(location: number, bytes: Uint8Array): number {
    if (location >= MAX_FLOW_RULES) return Status.invalidArgument
    if (this.#rules.some((rule) => rule.location === location)) return Status.alreadyExists
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const type = TYPES.get(view.getUint16(0))
    // The card does not compare the traffic class.
    if (type === undefined || bytes[MASK + TRAFFIC_CLASS] !== 0) return Status.unimplemented
    const queue = view.getUint16(QUEUE)
    if (queue >= this.#queues) return Status.invalidArgument
    const addressBytes = type.ipVersion === 4 ? 4 : 16
    const key = fieldsAt(view, KEY, addressBytes)
    const mask = fieldsAt(view, MASK, addressBytes)
    if (!this.#target.setRule(location, { ...type, key, mask, queue })) return Status.alreadyExists
    this.#rules = [...this.#rules, { location, bytes: bytes.slice() }].sort(
      (a, b) => a.location - b.location,
    )
    return Status.passed
  }

  #remove(location: number): number {
    const rest = this.#rules.filter((rule) => rule.location !== location)
    if (rest.length === this.#rules.length) return Status.notFound
    this.#rules = rest
    this.#target.removeRule(location)
    return Status.passed
  }
}

function fieldsAt(view: DataView, at: number, addressBytes: number): FlowFields {
  const address = (place: number): Uint8Array => {
    const start = view.byteOffset + at + place
    return new Uint8Array(view.buffer, start, addressBytes).slice()
  }
  return {
    source: address(SOURCE),
    destination: address(DESTINATION),
    sourcePort: view.getUint16(at + SOURCE_PORT),
    destinationPort: view.getUint16(at + DESTINATION_PORT),
  }
}
