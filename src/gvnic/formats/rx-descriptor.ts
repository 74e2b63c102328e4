/** Descriptor of a posted buffer: 32 bytes, little-endian (K: gve_desc_dqo.h, struct gve_rx_desc_dqo). */

import type { PostedBuffers } from '../../stack/rings/rx-front-end.ts'
import type { GuestPiece } from '../guest-dma.ts'

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

/** Reads the address of the header buffer of a descriptor. The `id` stays as it is. */
export function readHeaderAddress(words: Uint32Array, at: number, into: RxDescriptor): void {
  into.low = (words[at + 4] ?? 0) | 0
  into.high = (words[at + 5] ?? 0) | 0
}

/**
 * Reads descriptors of as many buffers as `bytes` bytes fill, from index `from` on. Each word is read once,
 * since the guest may write it at any time.
 *
 * @param words ring of descriptors, whose entries are a power of two.
 * @param bufferBytes bytes of each buffer.
 * @param memory memory that the card may write.
 */
export function readRxDescriptors(
  words: Uint32Array,
  from: number,
  bufferBytes: number,
  bytes: number,
  memory: GuestPiece,
  into: PostedBuffers,
): void {
  // All in variables: loads of fields and of other modules' constants took longer than the rest.
  const entryWords = RX_DESCRIPTOR_WORDS
  const mask = words.length / entryWords - 1
  const needed = Math.ceil(bytes / bufferBytes) | 0
  into.reserve(needed)
  const { ids, regions, offsets, lengths } = into
  memory.refresh()
  for (let count = 0; count < needed; count++) {
    const at = ((from + count) & mask) * entryWords
    const id = (words[at] ?? 0) & 0xffff
    const low = (words[at + 2] ?? 0) | 0
    const high = (words[at + 3] ?? 0) | 0
    const isMapped = memory.has(high, low, bufferBytes)
    ids[count] = id
    regions[count] = isMapped ? memory.region : -1
    offsets[count] = memory.offset + ((low - memory.low) | 0)
    lengths[count] = bufferBytes
  }
  into.count = needed
}
