/** Descriptor of a posted buffer: 32 bytes, little-endian (K: gve_desc_dqo.h, struct gve_rx_desc_dqo). */

/** Words of a descriptor. */
export const RX_DESCRIPTOR_WORDS = 8

/** Posted buffer as its driver describes it. */
export interface RxDescriptor {
  /** Number of the buffer: 16 bits. */
  id: number
  /** High and low word of the buffer's address, signed: small integers for the engine. */
  high: number
  low: number
}

/** Reads a descriptor. Each word is read once, since the guest may write it at any time. */
export function readRxDescriptor(words: Uint32Array, at: number, into: RxDescriptor): void {
  into.id = (words[at] ?? 0) & 0xffff
  into.low = (words[at + 2] ?? 0) | 0
  into.high = (words[at + 3] ?? 0) | 0
}

/** Reads the address of the header buffer of a descriptor; the `id` stays as it is. */
export function readHeaderAddress(words: Uint32Array, at: number, into: RxDescriptor): void {
  into.low = (words[at + 4] ?? 0) | 0
  into.high = (words[at + 5] ?? 0) | 0
}
