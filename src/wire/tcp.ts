/** TCP headers (RFC 9293, 3.1). `tcp-options.ts` reads and writes the options behind them. */

import { getInt32, getUint8, getUint16, setInt32, setUint16 } from './bytes.ts'

/** Flags, as their byte in the header has them (RFC 9293, 3.1; RFC 3168, 6.1). */
export const FIN = 1
export const SYN = 2
export const RST = 4
export const PSH = 8
export const ACK = 16
export const URG = 32
export const ECE = 64
export const CWR = 128

/** Bytes of a header without options. */
export const TCP_HEADER_BYTES = 20

/** Offsets in the header that others need. */
export const TCP_SEQ = 4
export const TCP_ACK = 8
export const TCP_DATA_OFFSET = 12
export const TCP_FLAGS = 13
export const TCP_WINDOW = 14
export const TCP_CHECKSUM = 16

const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const URGENT_POINTER = 18

/** Fields of a header. Numbers of 32 bits are signed, since engines keep larger ones in objects. */
export interface TcpHeader {
  sourcePort: number
  destinationPort: number
  seq: number
  ack: number
  /** {@link FIN}, {@link SYN} and so on. */
  tcpFlags: number
  /** The window as it stands there, not scaled. */
  window: number
  urgentPointer: number
}

/**
 * Reads the header of the segment at byte `at`.
 *
 * @param end end of the bytes that are there.
 * @param packetEnd end of the IP packet, behind `end` where a capture was cut.
 * @returns bytes of the header with its options; 0, with `into` as it was, if it is cut or malformed.
 */
export function parseTcp(
  bytes: Uint8Array,
  at: number,
  end: number,
  packetEnd: number,
  into: TcpHeader,
): number {
  if (at + TCP_HEADER_BYTES > end || at + TCP_HEADER_BYTES > packetEnd) return 0
  const headerBytes = (getUint8(bytes, at + TCP_DATA_OFFSET) >> 4) * 4
  if (headerBytes < TCP_HEADER_BYTES || at + headerBytes > end || at + headerBytes > packetEnd) {
    return 0
  }
  into.sourcePort = getUint16(bytes, at + SOURCE_PORT)
  into.destinationPort = getUint16(bytes, at + DESTINATION_PORT)
  into.seq = getInt32(bytes, at + TCP_SEQ)
  into.ack = getInt32(bytes, at + TCP_ACK)
  into.tcpFlags = getUint8(bytes, at + TCP_FLAGS)
  into.window = getUint16(bytes, at + TCP_WINDOW)
  into.urgentPointer = getUint16(bytes, at + URGENT_POINTER)
  return headerBytes
}

/**
 * Writes a header at byte `at`, with a checksum of 0. Its options have been written behind it.
 *
 * @param optionBytes bytes of the options: 0 to 40, a multiple of 4.
 * @returns bytes of the header with its options.
 */
export function writeTcp(
  bytes: Uint8Array,
  at: number,
  header: Readonly<TcpHeader>,
  optionBytes: number = 0,
): number {
  const headerBytes = TCP_HEADER_BYTES + optionBytes
  setUint16(bytes, at + SOURCE_PORT, header.sourcePort)
  setUint16(bytes, at + DESTINATION_PORT, header.destinationPort)
  setInt32(bytes, at + TCP_SEQ, header.seq)
  setInt32(bytes, at + TCP_ACK, header.ack)
  bytes[at + TCP_DATA_OFFSET] = headerBytes << 2
  bytes[at + TCP_FLAGS] = header.tcpFlags
  setUint16(bytes, at + TCP_WINDOW, header.window)
  setUint16(bytes, at + TCP_CHECKSUM, 0)
  setUint16(bytes, at + URGENT_POINTER, header.urgentPointer)
  return headerBytes
}
