/** UDP headers (RFC 768). */

import { getUint16, setUint16 } from './bytes.ts'

/** Bytes of a UDP header. */
export const UDP_HEADER_BYTES = 8
/** Offset of the checksum in a UDP header. */
export const UDP_CHECKSUM = 6

const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const LENGTH = 4

// Copies that engines fold: they load what a file exports or imports at each use.
const HEADER_BYTES = UDP_HEADER_BYTES
const uint16 = getUint16

/** Fields of a UDP header. */
export interface UdpHeader {
  /** 0 to 65,535. */
  sourcePort: number
  /** 0 to 65,535. */
  destinationPort: number
}

/**
 * Reads the UDP header of the datagram at byte `at`.
 *
 * @param end end of the bytes that are there.
 * @param packetEnd end of the IP packet, behind `end` where a capture was cut.
 * @param isJumbo allows the length 0, which then stands for all of the packet (RFC 2675, 4).
 * @returns bytes of the datagram, its header included, or 0, with `into` as it was, if the header is cut
 * or its length is wrong.
 */
export function parseUdp(
  bytes: Uint8Array,
  at: number,
  end: number,
  packetEnd: number,
  isJumbo: boolean,
  into: UdpHeader,
): number {
  if (at + HEADER_BYTES > end || at + HEADER_BYTES > packetEnd) return 0
  const length = uint16(bytes, at + LENGTH)
  const datagramBytes = length === 0 && isJumbo ? packetEnd - at : length
  if (datagramBytes < HEADER_BYTES || at + datagramBytes > packetEnd) return 0
  into.sourcePort = uint16(bytes, at + SOURCE_PORT)
  into.destinationPort = uint16(bytes, at + DESTINATION_PORT)
  return datagramBytes
}

/**
 * Writes a UDP header at byte `at`, with a checksum of 0. {@link fillChecksums} fills it in.
 *
 * @param datagramBytes bytes of the header and the payload: 8 to 65,535.
 * @returns bytes of the header.
 */
export function writeUdp(
  bytes: Uint8Array,
  at: number,
  header: Readonly<UdpHeader>,
  datagramBytes: number,
): number {
  setUint16(bytes, at + SOURCE_PORT, header.sourcePort)
  setUint16(bytes, at + DESTINATION_PORT, header.destinationPort)
  setUint16(bytes, at + LENGTH, datagramBytes)
  setUint16(bytes, at + UDP_CHECKSUM, 0)
  return UDP_HEADER_BYTES
}
