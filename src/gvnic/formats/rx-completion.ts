/** Completion of a buffer: 32 bytes, little-endian (K: gve_desc_dqo.h, struct gve_rx_compl_desc_dqo). */

/** Words of a completion. */
export const RX_COMPLETION_WORDS = 8

const DESCRIPTOR_ID = 1
// Word 0.
const RX_ERROR = 1 << 10
const PACKET_TYPE_SHIFT = 16
// Word 1.
const GENERATION_SHIFT = 14
const HEADER_LENGTH_SHIFT = 16
const RSC = 1 << 26
const SPLIT_HEADER = 1 << 27
// Word 2.
const DONE = 1 << 0
/** Status: last buffer of the packet. */
export const STATUS_END_OF_PACKET: number = 1 << 1
/** Status: the headers did not fit in the header buffer. */
export const STATUS_HEADER_OVERFLOW: number = 1 << 2
/** Status: the card has verified the checksums. */
export const STATUS_PROCESSED: number = 1 << 3
/** Status: the checksum of the IPv4 header is wrong. */
export const STATUS_IP_ERROR: number = 1 << 4
/** Status: the checksum of TCP or UDP is wrong. */
export const STATUS_L4_ERROR: number = 1 << 5

/** Fields of a completion. One object is used again and again. */
export class GvnicRxCompletion {
  /** Number of the buffer. */
  id = 0
  /** Bytes in the buffer: 14 bits. */
  bytes = 0
  /** Bytes in the header buffer: 10 bits. 0 unless the headers are split off. */
  headerBytes = 0
  /** Index in the packet type map: 10 bits. */
  packetType = 0
  /** Status bits, such as {@link STATUS_END_OF_PACKET}. */
  status = 0
  /** Payload bytes of each segment of a coalesced packet. 0 for others. */
  segmentBytes = 0
  /** RSS hash. */
  hash = 0
  /** True if the buffer could not be filled: the driver drops the packet. */
  error = false
}

/** Place of the word with the generation bit, by which a driver sees a completion. */
export const RX_GENERATION_WORD = 1

/**
 * Writes a completion but for its word with the generation bit, which it returns.
 *
 * @param generation 0 or 1: 1 on the first lap.
 */
export function writeRxCompletion(
  words: Uint32Array,
  at: number,
  completion: GvnicRxCompletion,
  generation: number,
): number {
  const { bytes, headerBytes, segmentBytes } = completion
  words[at] =
    DESCRIPTOR_ID | (completion.packetType << PACKET_TYPE_SHIFT) | (completion.error ? RX_ERROR : 0)
  words[at + 2] = DONE | completion.status
  words[at + 3] = completion.id | (segmentBytes << 16)
  words[at + 4] = completion.hash
  let word = bytes | (generation << GENERATION_SHIFT)
  if (headerBytes > 0) word |= SPLIT_HEADER | (headerBytes << HEADER_LENGTH_SHIFT)
  if (segmentBytes > 0) word |= RSC
  return word
}
