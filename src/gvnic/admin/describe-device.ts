/** Description of the card for its driver: a descriptor and options (K: gve_adminq.h, big-endian). */

/** Numbers of a card that its driver learns. */
export interface CardDescription {
  /** Hardware address of 6 bytes. */
  readonly mac: Uint8Array
  /** Largest IP packet. The driver starts its interface with it, and allows no larger one. */
  readonly mtu: number
  /** Queues each way. */
  readonly queues: number
}

/** Version of the descriptor that the driver has to ask for. */
export const DESCRIPTOR_VERSION = 1
/** Bytes of posted buffers: the driver takes this or the half. */
export const MAX_BUFFER_BYTES = 4096
export const MIN_BUFFER_BYTES = 2048
/** Bytes of header buffers. */
export const HEADER_BUFFER_BYTES = 128
const RING_ENTRIES = 512
export const MIN_RING_ENTRIES = 256
export const MAX_RING_ENTRIES = 2048
export const MAX_FLOW_RULES = 64
export const RSS_KEY_BYTES = 40

const DESCRIPTOR_BYTES = 40
const OPTION_HEADER_BYTES = 8

/**
 * Ids of options. RSS is missing on purpose. Without it the driver keeps key and table itself, sends
 * both, and adapts them when the number of queues changes (K: gve_main.c, gve_init_rss_config).
 */
const Option = {
  dqoRda: 0x4,
  ringSizes: 0x6,
  jumboFrames: 0x8,
  bufferSizes: 0xa,
  flowSteering: 0xb,
} as const

const Feature = {
  ringSizes: 1 << 0,
  jumboFrames: 1 << 2,
  bufferSizes: 1 << 4,
  flowSteering: 1 << 5,
} as const
const ALL_FEATURES = Object.values(Feature).reduce((all, one) => all | one, 0)

/** Returns the bytes of the descriptor with its options. */
export function describeDevice({ mac, mtu, queues }: CardDescription): Uint8Array {
  const options = [
    // The mask of this option decides which of the other options count.
    option(Option.dqoRda, ALL_FEATURES, 0, 0),
    option(Option.jumboFrames, Feature.jumboFrames, mtu, 0),
    option(Option.bufferSizes, Feature.bufferSizes, MAX_BUFFER_BYTES, HEADER_BUFFER_BYTES),
    option(Option.flowSteering, Feature.flowSteering, 0, 0, 0, MAX_FLOW_RULES),
    option(
      Option.ringSizes,
      Feature.ringSizes,
      ...[MAX_RING_ENTRIES, MAX_RING_ENTRIES, MIN_RING_ENTRIES, MIN_RING_ENTRIES],
    ),
  ]
  const bytes = options.reduce((sum, { length }) => sum + length, DESCRIPTOR_BYTES)
  const descriptor = new Uint8Array(bytes)
  const view = new DataView(descriptor.buffer)
  view.setUint16(10, RING_ENTRIES)
  view.setUint16(12, RING_ENTRIES)
  view.setUint16(14, queues)
  view.setUint16(16, mtu)
  view.setUint16(18, eventCounters(queues))
  descriptor.set(mac, 24)
  view.setUint16(30, options.length)
  view.setUint16(32, bytes)
  let at = DESCRIPTOR_BYTES
  for (const one of options) {
    descriptor.set(one, at)
    at += one.length
  }
  return descriptor
}

/** Returns the number of event counters, one for each queue. Only older formats count in them. */
export function eventCounters(queues: number): number {
  return 2 * queues
}

/** Makes an option: its mask of features, and 16-bit fields. */
function option(id: number, feature: number, ...fields: readonly number[]): Uint8Array {
  const bodyBytes = 4 + 2 * fields.length
  const bytes = new Uint8Array(OPTION_HEADER_BYTES + bodyBytes)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, id)
  view.setUint16(2, bodyBytes)
  view.setUint32(8, feature)
  for (const [index, field] of fields.entries()) view.setUint16(12 + 2 * index, field)
  return bytes
}
