/**
 * Flow rules of network cards as the kernel lays them out (K: include/uapi/linux/ethtool.h, struct
 * ethtool_rxnfc and what it holds), on 64-bit little-endian machines.
 */

import { ArgumentRangeError } from '../errors.ts'
import { formatAddress, parseAddress } from './address.ts'

/** Transport and IP version of the packets that a rule matches, by the names that `ethtool` uses. */
export type FlowType = 'tcp4' | 'udp4' | 'tcp6' | 'udp6'

/** Fields that a packet must have to match. A field that is left out matches every value. */
export interface FlowMatch {
  /** Transport and IP version. */
  readonly type: FlowType
  /** Source address, such as `192.0.2.1` or `2001:db8::1`. */
  readonly sourceAddress?: string
  /** Destination address. */
  readonly destinationAddress?: string
  /** Source port. */
  readonly sourcePort?: number
  /** Destination port. */
  readonly destinationPort?: number
}

/** A rule in a card's table. */
export interface FlowRule extends FlowMatch {
  /** RX queue that takes the packets, or undefined if they are dropped or spread over a context. */
  readonly queue?: number
  /** RSS context whose queues take the packets. */
  readonly rssContext?: number
  /** Place in the table. The card tries lower ones first. */
  readonly location: number
}

/** struct ethtool_rxnfc. Fields of the struct ethtool_rx_flow_spec in it count from its start too. */
export const RXNFC = {
  BYTES: 192,
  COMMAND: 0,
  DATA: 8,
  FLOW_TYPE: 16,
  VALUES: 20,
  MASKS: 92,
  RING_COOKIE: 168,
  LOCATION: 176,
  COUNT: 184,
  CONTEXT: 184,
  LOCATIONS: 188,
} as const
/** struct ethtool_tcpip4_spec, for UDP too. The type of service is behind the ports. */
export const TCPIP4_SPEC = {
  BYTES: 16,
  SOURCE: 0,
  DESTINATION: 4,
  SOURCE_PORT: 8,
  DESTINATION_PORT: 10,
  TOS: 12,
} as const
/** struct ethtool_tcpip6_spec, for UDP too. */
export const TCPIP6_SPEC = {
  BYTES: 40,
  SOURCE: 0,
  DESTINATION: 16,
  SOURCE_PORT: 32,
  DESTINATION_PORT: 34,
  TOS: 36,
} as const
/** Bytes of union ethtool_flow_union, which holds the values or the masks. */
const UNION_BYTES = 52

const TYPES: Readonly<Record<FlowType, number>> = { tcp4: 1, udp4: 2, tcp6: 5, udp6: 6 }
const FLOW_TYPES: readonly FlowType[] = ['tcp4', 'udp4', 'tcp6', 'udp6']
const FLOW_EXT = 0x80000000
const FLOW_MAC_EXT = 0x40000000
const FLOW_RSS = 0x20000000

/** Commands of ETHTOOL that take a struct ethtool_rxnfc. */
export const ETHTOOL_GRXCLSRLCNT = 0x2e
export const ETHTOOL_GRXCLSRULE = 0x2f
export const ETHTOOL_GRXCLSRLALL = 0x30
export const ETHTOOL_SRXCLSRLDEL = 0x31
const ETHTOOL_SRXCLSRLINS = 0x32
/** Flag in the size of a table: the card chooses locations by itself. */
const RX_CLS_LOC_SPECIAL = 0x80000000
/** Location that the card is to choose. */
export const RX_CLS_LOC_ANY = 0xffffffff

/** Makes a command about the table, or about the rule at a location. */
export function rxnfc(command: number, location = 0, capacity = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(RXNFC.BYTES, RXNFC.LOCATIONS + 4 * capacity))
  const view = viewOf(bytes)
  view.setUint32(RXNFC.COMMAND, command, true)
  view.setUint32(RXNFC.LOCATION, location, true)
  view.setUint32(RXNFC.COUNT, capacity, true)
  return bytes
}

/** Reads the answer to ETHTOOL_GRXCLSRLCNT. */
export function tableOf(bytes: Uint8Array): {
  /** Rules in the table. */
  readonly rules: number
  /** Places in the table, or 0 if the driver does not say. */
  readonly places: number
  /** True if the card chooses the location of a new rule. */
  readonly choosesLocation: boolean
} {
  const view = viewOf(bytes)
  const data = view.getUint32(RXNFC.DATA, true)
  return {
    rules: view.getUint32(RXNFC.COUNT, true),
    places: data & ~RX_CLS_LOC_SPECIAL,
    choosesLocation: (data & RX_CLS_LOC_SPECIAL) !== 0,
  }
}

/** Reads the locations in the answer to ETHTOOL_GRXCLSRLALL. */
export function locationsOf(bytes: Uint8Array): number[] {
  const view = viewOf(bytes)
  const room = Math.floor((bytes.length - RXNFC.LOCATIONS) / 4)
  const count = Math.min(view.getUint32(RXNFC.COUNT, true), room)
  return Array.from({ length: count }, (_, at) => view.getUint32(RXNFC.LOCATIONS + 4 * at, true))
}

/** Reads the location of a rule: a card that chose it has written it. */
export function locationOf(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(RXNFC.LOCATION, true)
}

/**
 * Makes the command that adds a rule.
 *
 * @throws NETMEM_OUT_OF_RANGE for an invalid address, or one of the other IP version.
 */
export function insertion(
  match: FlowMatch,
  target: { readonly queue: number } | { readonly rssContext: number },
  location: number,
): Uint8Array<ArrayBuffer> {
  const bytes = rxnfc(ETHTOOL_SRXCLSRLINS, location)
  const view = viewOf(bytes)
  const type = TYPES[match.type]
  if ('rssContext' in target) {
    view.setUint32(RXNFC.FLOW_TYPE, (type | FLOW_RSS) >>> 0, true)
    view.setUint32(RXNFC.CONTEXT, target.rssContext, true)
  } else {
    view.setUint32(RXNFC.FLOW_TYPE, type, true)
    view.setUint32(RXNFC.RING_COOKIE, target.queue, true)
  }
  const { addressBytes, spec } = fieldsOf(match.type)
  for (const [text, at] of [
    [match.sourceAddress, spec.SOURCE],
    [match.destinationAddress, spec.DESTINATION],
  ] as const) {
    if (text === undefined) continue
    const address = parseAddress(text)
    if (address.length !== addressBytes) {
      throw new ArgumentRangeError(
        'NETMEM_OUT_OF_RANGE',
        `A rule for ${match.type} takes no address such as ${text}.`,
      )
    }
    bytes.set(address, RXNFC.VALUES + at)
    bytes.fill(0xff, RXNFC.MASKS + at, RXNFC.MASKS + at + addressBytes)
  }
  for (const [port, at] of [
    [match.sourcePort, spec.SOURCE_PORT],
    [match.destinationPort, spec.DESTINATION_PORT],
  ] as const) {
    if (port === undefined) continue
    view.setUint16(RXNFC.VALUES + at, port)
    view.setUint16(RXNFC.MASKS + at, 0xffff)
  }
  return bytes
}

/**
 * Reads the answer to ETHTOOL_GRXCLSRULE. Returns undefined for a rule that {@link FlowRule} cannot
 * tell: of another type, with other fields, or with masks in part.
 */
export function ruleOf(bytes: Uint8Array): FlowRule | undefined {
  const view = viewOf(bytes)
  const flags = view.getUint32(RXNFC.FLOW_TYPE, true)
  const number = flags & ~(FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS)
  const type = FLOW_TYPES.find((name) => TYPES[name] === number)
  if (type === undefined || (flags & (FLOW_EXT | FLOW_MAC_EXT)) !== 0) return undefined
  const { addressBytes, spec } = fieldsOf(type)
  // Type of service and beyond: no field of ours.
  for (let at: number = spec.TOS; at < UNION_BYTES; at += 1)
    if (bytes[RXNFC.MASKS + at] !== 0) return undefined
  const sourceAddress = addressAt(bytes, spec.SOURCE, addressBytes)
  const destinationAddress = addressAt(bytes, spec.DESTINATION, addressBytes)
  const source = portAt(view, spec.SOURCE_PORT)
  const destination = portAt(view, spec.DESTINATION_PORT)
  if ([sourceAddress, destinationAddress, source, destination].includes('in part')) return undefined
  const queue = view.getBigUint64(RXNFC.RING_COOKIE, true)
  const isRss = (flags & FLOW_RSS) !== 0
  return {
    type,
    ...(typeof sourceAddress === 'string' && { sourceAddress }),
    ...(typeof destinationAddress === 'string' && { destinationAddress }),
    ...(typeof source === 'number' && { sourcePort: source }),
    ...(typeof destination === 'number' && { destinationPort: destination }),
    ...(isRss && { rssContext: view.getUint32(RXNFC.CONTEXT, true) }),
    // The two highest values drop the packets or wake the machine.
    ...(!isRss && queue < 0xfffffffffffffffen && { queue: Number(queue & 0xffffffffn) }),
    location: view.getUint32(RXNFC.LOCATION, true),
  }
}

function addressAt(bytes: Uint8Array, at: number, addressBytes: number): string | undefined {
  const mask = bytes.subarray(RXNFC.MASKS + at, RXNFC.MASKS + at + addressBytes)
  if (mask.every((byte) => byte === 0)) return undefined
  if (!mask.every((byte) => byte === 0xff)) return 'in part'
  return formatAddress(bytes, RXNFC.VALUES + at, addressBytes)
}

function portAt(view: DataView, at: number): number | 'in part' | undefined {
  const mask = view.getUint16(RXNFC.MASKS + at)
  if (mask === 0) return undefined
  return mask === 0xffff ? view.getUint16(RXNFC.VALUES + at) : 'in part'
}

function fieldsOf(type: FlowType): {
  readonly addressBytes: 4 | 16
  readonly spec: typeof TCPIP4_SPEC | typeof TCPIP6_SPEC
} {
  return type.endsWith('4')
    ? { addressBytes: 4, spec: TCPIP4_SPEC }
    : { addressBytes: 16, spec: TCPIP6_SPEC }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
