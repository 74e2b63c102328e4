/** Completion of a buffer: 32 bytes, little-endian (K: gve_desc_dqo.h, struct gve_rx_compl_desc_dqo). */

import {
  ipVersionOfPacketType,
  kindOfPacketType,
  type PostedBuffers,
  RX_CHECKSUM_OK,
  RX_END_OF_PACKET,
  RX_FAULT,
  RX_HEADER_OVERFLOW,
  RX_IP_CHECKSUM_BAD,
  RX_L4_CHECKSUM_BAD,
  type RxCompletion,
} from '../../stack/rings/rx-front-end.ts'
import { packetTypeIndex } from '../admin/packet-types.ts'
import type { Publication } from '../rings/publication.ts'

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
const STATUS_END_OF_PACKET = 1 << 1
/** Status: the headers did not fit in the header buffer. */
const STATUS_HEADER_OVERFLOW: number = 1 << 2
/** Status: the card has verified the checksums. */
const STATUS_PROCESSED: number = 1 << 3
/** Status: the checksum of the IPv4 header is wrong. */
const STATUS_IP_ERROR: number = 1 << 4
/** Status: the checksum of TCP or UDP is wrong. */
const STATUS_L4_ERROR: number = 1 << 5

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
  { id, bytes, headerBytes, flags, packetType, hash, segmentBytes }: RxCompletion,
  generation: number,
): number {
  const error = (flags & RX_FAULT) === 0 ? 0 : RX_ERROR
  words[at] = DESCRIPTOR_ID | ((PACKET_TYPES[packetType] ?? 0) << PACKET_TYPE_SHIFT) | error
  words[at + 2] = DONE | (STATUS[flags] ?? 0)
  words[at + 3] = id | (segmentBytes << 16)
  words[at + 4] = hash
  let word = bytes | (generation << GENERATION_SHIFT)
  if (headerBytes > 0) word |= SPLIT_HEADER | (headerBytes << HEADER_LENGTH_SHIFT)
  if (segmentBytes > 0) word |= RSC
  return word
}

/**
 * Writes the completions of a packet that fills `buffers` with `bytes` bytes, from index `from` on. The first
 * one goes to `publication`, by which a driver sees the others, too.
 *
 * @param words ring of completions, whose entries are a power of two.
 * @param completion what they say of the packet. Its headers are in the first one.
 * @param generation 0 or 1: 1 on the first lap.
 */
export function writeRxCompletions(
  words: Uint32Array,
  from: number,
  { headerBytes, flags, packetType, hash, segmentBytes }: RxCompletion,
  { count, ids, lengths }: PostedBuffers,
  bytes: number,
  generation: number,
  publication: Publication,
): void {
  const entryWords = RX_COMPLETION_WORDS
  const generationWord = RX_GENERATION_WORD
  const mask = words.length / entryWords - 1
  const type = DESCRIPTOR_ID | ((PACKET_TYPES[packetType] ?? 0) << PACKET_TYPE_SHIFT)
  const status = DONE | (STATUS[flags] ?? 0)
  let lengthsWord = segmentBytes > 0 ? RSC : 0
  if (headerBytes > 0) lengthsWord |= SPLIT_HEADER | (headerBytes << HEADER_LENGTH_SHIFT)
  let left = bytes
  for (let buffer = 0; buffer < count; buffer++) {
    const index = from + buffer
    const room = lengths[buffer] ?? 0
    const filled = left < room ? left : room
    left -= filled
    const at = (index & mask) * entryWords
    words[at] = type
    words[at + 2] = buffer + 1 === count ? status | STATUS_END_OF_PACKET : status
    words[at + 3] = (ids[buffer] ?? 0) | (segmentBytes << 16)
    words[at + 4] = hash
    const lap = index > mask ? generation ^ 1 : generation
    const word = lengthsWord | filled | (lap << GENERATION_SHIFT)
    if (buffer === 0) publication.add(at + generationWord, word)
    else words[at + generationWord] = word
    lengthsWord &= RSC
  }
}

/** Indices of packet types, by those of the NIC. */
const PACKET_TYPES = Uint8Array.from({ length: 64 }, (_, type) =>
  packetTypeIndex(kindOfPacketType(type), ipVersionOfPacketType(type)),
)

/** Status bits, by the flags of the NIC. */
const STATUS = Uint8Array.from({ length: 256 }, (_, flags) => statusOf(flags))

function statusOf(flags: number): number {
  let status = 0
  if ((flags & RX_END_OF_PACKET) !== 0) status |= STATUS_END_OF_PACKET
  if ((flags & RX_HEADER_OVERFLOW) !== 0) status |= STATUS_HEADER_OVERFLOW
  if ((flags & RX_CHECKSUM_OK) !== 0) status |= STATUS_PROCESSED
  if ((flags & RX_IP_CHECKSUM_BAD) !== 0) status |= STATUS_PROCESSED | STATUS_IP_ERROR
  if ((flags & RX_L4_CHECKSUM_BAD) !== 0) status |= STATUS_PROCESSED | STATUS_L4_ERROR
  return status
}
