/**
 * The header that a virtio-net device has before each frame, also on TAP interfaces (virtio 1.3, 5.1.6,
 * and K: include/uapi/linux/virtio_net.h). It says which checksum is left to the receiver, and into which
 * segments a large TCP packet is to be cut.
 */

import { getUint8 } from './bytes.ts'

/** struct virtio_net_hdr: its size and the offsets of its fields, in bytes. */
export const VIRTIO_NET_HDR = {
  BYTES: 10,
  FLAGS: 0,
  GSO_TYPE: 1,
  HEADER_BYTES: 2,
  GSO_SIZE: 4,
  CHECKSUM_START: 6,
  CHECKSUM_OFFSET: 8,
} as const

/** Flag: the receiver sums from `checksumStart` on, and writes the sum at `checksumOffset` from there. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1

/** Ordinary frame that is not segmented. */
export const VIRTIO_NET_HDR_GSO_NONE = 0
/** TCP over IPv4 that is to be segmented. */
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1
/** TCP over IPv6 that is to be segmented. */
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4
/** Added to a type of TCP: the packet has the flag CWR, which its first segment alone keeps. */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80

/** Header of a frame, read or to be written. One object serves all frames. */
export class VirtioNetHeader {
  /** VIRTIO_NET_HDR_F_*, combined by or. */
  flags = 0
  /** VIRTIO_NET_HDR_GSO_*. */
  gsoType: number = VIRTIO_NET_HDR_GSO_NONE
  /** Bytes of all headers of a packet that is to be segmented. A hint: 0 to 65,535. */
  headerBytes = 0
  /** Payload bytes of each segment but the last: 0 to 65,535. */
  gsoSize = 0
  /** Bytes from the frame's start at which the checksum begins to sum: 0 to 65,535. */
  checksumStart = 0
  /** Bytes from `checksumStart` to the checksum: 0 to 65,535. */
  checksumOffset = 0
}

/**
 * Reads the header at byte `at`. It is little-endian.
 *
 * @returns false, with `into` as it was, unless all of it is in front of `end`.
 */
export function parseVirtioNet(
  bytes: Uint8Array,
  at: number,
  end: number,
  into: VirtioNetHeader,
): boolean {
  if (at + VIRTIO_NET_HDR.BYTES > end) return false
  into.flags = getUint8(bytes, at + VIRTIO_NET_HDR.FLAGS)
  into.gsoType = getUint8(bytes, at + VIRTIO_NET_HDR.GSO_TYPE)
  into.headerBytes = little16(bytes, at + VIRTIO_NET_HDR.HEADER_BYTES)
  into.gsoSize = little16(bytes, at + VIRTIO_NET_HDR.GSO_SIZE)
  into.checksumStart = little16(bytes, at + VIRTIO_NET_HDR.CHECKSUM_START)
  into.checksumOffset = little16(bytes, at + VIRTIO_NET_HDR.CHECKSUM_OFFSET)
  return true
}

/** Writes the header at byte `at`. Returns its bytes. */
export function writeVirtioNet(
  bytes: Uint8Array,
  at: number,
  header: Readonly<VirtioNetHeader>,
): number {
  bytes[at + VIRTIO_NET_HDR.FLAGS] = header.flags
  bytes[at + VIRTIO_NET_HDR.GSO_TYPE] = header.gsoType
  setLittle16(bytes, at + VIRTIO_NET_HDR.HEADER_BYTES, header.headerBytes)
  setLittle16(bytes, at + VIRTIO_NET_HDR.GSO_SIZE, header.gsoSize)
  setLittle16(bytes, at + VIRTIO_NET_HDR.CHECKSUM_START, header.checksumStart)
  setLittle16(bytes, at + VIRTIO_NET_HDR.CHECKSUM_OFFSET, header.checksumOffset)
  return VIRTIO_NET_HDR.BYTES
}

function little16(bytes: Uint8Array, at: number): number {
  return getUint8(bytes, at) | (getUint8(bytes, at + 1) << 8)
}

function setLittle16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 0xff
  bytes[at + 1] = value >>> 8
}
