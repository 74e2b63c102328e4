/** Completions of sent packets: 8 bytes, little-endian (K: gve_desc_dqo.h, struct gve_tx_compl_desc). */

/** Words of a completion. */
export const TX_COMPLETION_WORDS = 2
/** Type of a completion: the packet with this tag has been sent. */
export const TX_PACKET_COMPLETION = 2
/** Type of a completion: the descriptors up to this index have been read. */
export const TX_DESCRIPTOR_COMPLETION = 4

const TYPE_SHIFT = 11
const GENERATION_SHIFT = 15
const QUEUE_MASK = 0x7ff

/**
 * Writes a completion but for its first word, by which a driver sees it, and returns that.
 *
 * @param value tag of a packet, or index of a descriptor.
 * @param generation 0 or 1: 1 on the first lap.
 */
export function writeTxCompletion(
  words: Uint32Array,
  at: number,
  queue: number,
  type: number,
  value: number,
  generation: number,
): number {
  words[at + 1] = 0
  return (
    (queue & QUEUE_MASK) | (type << TYPE_SHIFT) | (generation << GENERATION_SHIFT) | (value << 16)
  )
}
