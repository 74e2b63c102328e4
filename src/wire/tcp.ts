/** TCP headers (RFC 9293, 3.1). `tcp-options.ts` reads and writes the options behind them. */

import { getInt32, getUint8, getUint16, setInt32, setUint16 } from './bytes.ts'

// Flags, as bits of their byte in the header (RFC 9293, 3.1 and RFC 3168, 6.1).
/** TCP flag: the sender has no more data. */
export const FIN = 1
/** TCP flag: synchronizes sequence numbers, in the first segment of each side. */
export const SYN = 2
/** TCP flag: resets the connection. */
export const RST = 4
/** TCP flag: the data goes to the application at once. */
export const PSH = 8
/** TCP flag: the acknowledgment number is valid. */
export const ACK = 16
/** TCP flag: the urgent pointer is valid. */
export const URG = 32
/** TCP flag: echoes congestion that a router has marked. */
export const ECE = 64
/** TCP flag: the sender has reduced its congestion window. */
export const CWR = 128

/** Bytes of a TCP header without options. */
export const TCP_HEADER_BYTES = 20

// Offsets that others need.
/** Offset of the sequence number in a TCP header. */
export const TCP_SEQ = 4
/** Offset of the acknowledgment number in a TCP header. */
export const TCP_ACK = 8
/** Offset of the byte whose upper 4 bits count a TCP header's words of 32 bits. */
export const TCP_DATA_OFFSET = 12
/** Offset of the byte of flags in a TCP header. */
export const TCP_FLAGS = 13
/** Offset of the window in a TCP header. */
export const TCP_WINDOW = 14
/** Offset of the checksum in a TCP header. */
export const TCP_CHECKSUM = 16

const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const URGENT_POINTER = 18

// Copies that engines fold: they load what a file exports or imports at each use.
const HEADER_BYTES = TCP_HEADER_BYTES
const SEQUENCE = TCP_SEQ
const ACKNOWLEDGMENT = TCP_ACK
const DATA_OFFSET = TCP_DATA_OFFSET
const FLAGS = TCP_FLAGS
const WINDOW = TCP_WINDOW
const uint8 = getUint8
const uint16 = getUint16
const int32 = getInt32

/**
 * Fields of a TCP header. Numbers of 32 bits are signed, since engines keep larger ones in objects.
 */
export interface TcpHeader {
  /** 0 to 65,535. */
  sourcePort: number
  /** 0 to 65,535. */
  destinationPort: number
  /** Sequence number of the first byte, signed 32 bits. */
  seq: number
  /** Sequence number that the sender expects next, signed 32 bits. Valid with {@link ACK}. */
  ack: number
  /** Flags: {@link FIN}, {@link SYN} and so on, combined by or. */
  tcpFlags: number
  /** Receive window as it stands in the header, not scaled. */
  window: number
  /** Bytes from `seq` to the end of urgent data. Valid with {@link URG}. */
  urgentPointer: number
}

/**
 * Reads the TCP header of the segment at byte `at`.
 *
 * @param end end of the bytes that are there.
 * @param packetEnd end of the IP packet, behind `end` where a capture was cut.
 * @returns bytes of the header with its options, or 0, with `into` as it was, if it is cut or malformed.
 */
export function parseTcp(
  bytes: Uint8Array,
  at: number,
  end: number,
  packetEnd: number,
  into: TcpHeader,
): number {
  if (at + HEADER_BYTES > end || at + HEADER_BYTES > packetEnd) return 0
  const headerBytes = (uint8(bytes, at + DATA_OFFSET) >> 4) * 4
  if (headerBytes < HEADER_BYTES || at + headerBytes > end || at + headerBytes > packetEnd) {
    return 0
  }
  into.sourcePort = uint16(bytes, at + SOURCE_PORT)
  into.destinationPort = uint16(bytes, at + DESTINATION_PORT)
  into.seq = int32(bytes, at + SEQUENCE)
  into.ack = int32(bytes, at + ACKNOWLEDGMENT)
  into.tcpFlags = uint8(bytes, at + FLAGS)
  into.window = uint16(bytes, at + WINDOW)
  into.urgentPointer = uint16(bytes, at + URGENT_POINTER)
  return headerBytes
}

/**
 * Writes a TCP header at byte `at`, with a checksum of 0. {@link fillChecksums} fills it in. Write the
 * options behind it first, with {@link writeTcpOptions}.
 *
 * @param optionBytes bytes of the options: 0 to 40, a multiple of 4.
 * @returns bytes of the header with its options.
 *
 * @example
 * ```ts
 * import { SYN, TCP_HEADER_BYTES, TcpOptions, writeTcp, writeTcpOptions } from 'netmem/stack/wire'
 *
 * const options = new TcpOptions()
 * options.mssBytes = 1460
 * const bytes = new Uint8Array(64)
 * const optionBytes = writeTcpOptions(bytes, TCP_HEADER_BYTES, options)
 * const header = { sourcePort: 40_000, destinationPort: 80, seq: 1, ack: 0, tcpFlags: SYN, window: 65_535, urgentPointer: 0 }
 * console.log(writeTcp(bytes, 0, header, optionBytes)) // 24
 * ```
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
