/**
 * Descriptors of packets to send: 16 bytes, little-endian (K: gve_desc_dqo.h). A packet begins with a
 * context of its metadata, and one for segmentation (TSO) if it is large. Its data follows.
 */

import {
  TX_CHECKSUM,
  TX_END_OF_PACKET,
  TX_REPORT,
  type TxPieces,
} from '../../stack/rings/tx-front-end.ts'
import type { GuestPiece } from '../guest-dma.ts'

/** Words of a descriptor. */
export const TX_DESCRIPTOR_WORDS = 4

// Types of descriptors. Others, such as that of a packet's metadata, are passed over.
const SEGMENTATION = 0x5
const PACKET = 0xc
const TYPE_MASK = 0x1f
/** End of packet, checksum and report: the order of {@link TX_END_OF_PACKET} and so on. */
const FLAGS_SHIFT = 5
const LENGTH_MASK = 0x3fff
/** Most pieces that a descriptor is: it may lie across the border of two maps. */
const MAX_PIECES = 2

/**
 * Reads the descriptors of a packet, from index `from` up to its end or to `tail`. Returns the index of the
 * next one. Data that touch become one piece, so that they are copied, or written, by one call. The
 * packet's end is posted if its flags have {@link TX_END_OF_PACKET}.
 *
 * Each word is read once, since the guest may write it at any time.
 *
 * @param words ring of descriptors, whose entries are a power of two.
 * @param memory memory that the card may read.
 */
export function readTxPacket(
  words: Uint32Array,
  from: number,
  tail: number,
  memory: GuestPiece,
  into: TxPieces,
): number {
  // All in variables: loads of fields and of other modules' constants took longer than the rest.
  const entryWords = TX_DESCRIPTOR_WORDS
  const mask = words.length / entryWords - 1
  const endOfPacket = TX_END_OF_PACKET
  const flagsMask = TX_END_OF_PACKET | TX_CHECKSUM | TX_REPORT
  into.clear()
  into.reserve(MAX_PIECES * (mask + 1))
  const { regions, offsets, lengths } = into
  memory.refresh()
  let known = memory.bytes
  let read = from
  let count = 0
  let descriptors = 0
  /** Offset of the last piece's end in the known memory. */
  let end = -1
  let flags = 0
  // Fields of the last context for segmentation.
  let segmentBytes = 0
  let headerBytes = 0
  while (read !== tail && (flags & endOfPacket) === 0) {
    const at = read * entryWords
    const low = (words[at] ?? 0) | 0
    const high = (words[at + 1] ?? 0) | 0
    const kind = (words[at + 2] ?? 0) | 0
    read = (read + 1) & mask
    if ((kind & TYPE_MASK) === PACKET) {
      const last = (words[at + 3] ?? 0) | 0
      const bytes = (last >>> 16) & LENGTH_MASK
      if (descriptors++ === 0) {
        into.mssBytes = segmentBytes
        into.headerBytes = headerBytes
        into.tag = last & 0xffff
      }
      flags |= (kind >>> FLAGS_SHIFT) & flagsMask
      const ahead = (low - memory.low) | 0
      if (bytes > 0 && high === memory.high && ahead >= 0 && ahead <= known - bytes) {
        const offset = memory.offset + ahead
        if (offset === end) lengths[count - 1] = (lengths[count - 1] ?? 0) + bytes
        else {
          regions[count] = memory.region
          offsets[count] = offset
          lengths[count++] = bytes
        }
        end = offset + bytes
      } else {
        count = addElsewhere(into, count, memory, high, low, bytes)
        known = memory.bytes
        end = -1
      }
    } else if ((kind & TYPE_MASK) === SEGMENTATION) {
      segmentBytes = high & LENGTH_MASK
      headerBytes = (high >>> 16) & 0xff
    }
  }
  into.count = count
  into.descriptors = descriptors
  into.flags = flags
  return read
}

/** Adds what a descriptor describes outside of the known memory. Returns the number of pieces. */
function addElsewhere(
  { regions, offsets, lengths }: TxPieces,
  count: number,
  memory: GuestPiece,
  high: number,
  low: number,
  bytes: number,
): number {
  const found = memory.find(high, low, bytes)
  regions[count] = found > 0 ? memory.region : -1
  offsets[count] = memory.offset
  lengths[count] = found > 0 ? found : bytes
  if (found === 0 || found === bytes) return count + 1
  // The rest lies behind the border of two maps.
  const rest = bytes - found
  const next = (low >>> 0) + found
  const carry = next < 2 ** 32 ? 0 : 1
  regions[count + 1] = memory.find((high + carry) | 0, next | 0, rest) < rest ? -1 : memory.region
  offsets[count + 1] = memory.offset
  lengths[count + 1] = rest
  return count + MAX_PIECES
}
