/**
 * Descriptors of packets to send: 16 bytes, little-endian (K: gve_desc_dqo.h). A packet begins with a
 * context of its metadata, and one for segmentation (TSO) if it is large. Its data follows.
 */

import { TX_CHECKSUM, TX_END_OF_PACKET, TX_REPORT } from '../../stack/rings/tx-front-end.ts'

/** Words of a descriptor. */
export const TX_DESCRIPTOR_WORDS = 4

/** Types of descriptors. */
export const TxDescriptorType = {
  metadata: 0x4,
  segmentation: 0x5,
  packet: 0xc,
} as const

const TYPE_MASK = 0x1f
/** End of packet, checksum and report: the order of {@link TX_END_OF_PACKET} and so on. */
const FLAGS_SHIFT = 5
const FLAGS_MASK = TX_END_OF_PACKET | TX_CHECKSUM | TX_REPORT
const LENGTH_MASK = 0x3fff

/** Fields of a descriptor. One object is used again and again. */
export class TxDescriptor {
  /** A value of {@link TxDescriptorType}, or another of 5 bits. */
  type = 0
  // Fields of a packet's data:
  /** High word of the address, signed: a small integer for the engine. */
  high = 0
  /** Low word of the address, signed. */
  low = 0
  /** Bytes: 14 bits. */
  bytes = 0
  /** Tag of the packet's completion: 16 bits. */
  tag = 0
  /** {@link TX_END_OF_PACKET} and so on, combined by or. */
  flags = 0
  // Fields of a segmentation context:
  /** Payload bytes of each segment: 14 bits. */
  segmentBytes = 0
  /** Bytes of the headers that each segment begins with. */
  headerBytes = 0
  /** Payload bytes of all segments: 24 bits. */
  totalBytes = 0
}

/**
 * Reads a descriptor. Each word is read once, since the guest may write it at any time. Fields of
 * another type keep their values.
 */
export function readTxDescriptor(words: Uint32Array, at: number, into: TxDescriptor): void {
  const flags = (words[at + 2] ?? 0) | 0
  const first = (words[at] ?? 0) | 0
  const second = (words[at + 1] ?? 0) | 0
  into.type = flags & TYPE_MASK
  if (into.type === TxDescriptorType.packet) {
    const last = (words[at + 3] ?? 0) | 0
    into.low = first
    into.high = second
    into.flags = (flags >>> FLAGS_SHIFT) & FLAGS_MASK
    into.tag = last & 0xffff
    into.bytes = (last >>> 16) & LENGTH_MASK
  } else if (into.type === TxDescriptorType.segmentation) {
    into.totalBytes = first & 0xff_ffff
    into.segmentBytes = second & LENGTH_MASK
    into.headerBytes = (second >>> 16) & 0xff
  }
}
