/** IPv4 headers (RFC 791, 3.1). */

import { copyBytes, getUint8, getUint16, setUint16 } from './bytes.ts'
import { sumBytes } from './checksum.ts'
import { type IpHeader, MAX_IP_BYTES } from './ip.ts'

/** Bytes of an IPv4 header without options. */
export const IPV4_HEADER_BYTES = 20
/** Bytes of an IPv4 address. */
export const IPV4_ADDRESS_BYTES = 4

// Offsets that others need.
/** Offset of the packet's length in an IPv4 header. */
export const IPV4_TOTAL_BYTES = 2
/** Offset of the checksum in an IPv4 header. */
export const IPV4_CHECKSUM = 10
/** Offset of the identification in the IPv4 header. */
export const IPV4_ID = 4
/** Offset of the protocol in an IPv4 header. */
export const IPV4_PROTOCOL = 9
/** Offset of the source address in an IPv4 header. The destination address follows it. */
export const IPV4_SOURCE = 12

const VERSION = 0
const TRAFFIC_CLASS = 1
const FRAGMENT = 6
const TIME_TO_LIVE = 8

/** Version 4, and a header of 5 words of 32 bits. */
const PLAIN_VERSION = 0x45
// Bits of the word at FRAGMENT. The offset counts units of 8 bytes.
const DONT_FRAGMENT = 0x4000
const MORE_FRAGMENTS = 0x2000
const OFFSET = 0x1fff

// Copies that engines fold: they load what a file imports at each use.
const uint8 = getUint8
const uint16 = getUint16

/**
 * Reads the IPv4 header of the packet at byte `at`.
 *
 * A total length of 0 means all bytes up to `wireEnd`. Hosts show it in packets that their hardware cuts
 * (TSO), and in packets of more than 64 KiB (BIG TCP).
 *
 * @param end end of the bytes that are there.
 * @param wireEnd end of the frame on the wire, behind `end` where a capture was cut.
 * @returns false, with `into` as it was, if the header is cut or contradicts itself.
 */
export function parseIpv4(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  into: IpHeader,
): boolean {
  if (at + IPV4_HEADER_BYTES > end) return false
  const version = uint8(bytes, at + VERSION)
  if (version >> 4 !== 4) return false
  const headerBytes = (version & 15) * 4
  const fragment = uint16(bytes, at + FRAGMENT)
  let packetBytes = uint16(bytes, at + IPV4_TOTAL_BYTES)
  if (packetBytes === 0 && (fragment & (MORE_FRAGMENTS | OFFSET)) === 0) packetBytes = wireEnd - at
  if (headerBytes < IPV4_HEADER_BYTES || packetBytes < headerBytes) return false
  if (at + headerBytes > end || at + packetBytes > wireEnd) return false
  into.headerBytes = headerBytes
  into.packetBytes = packetBytes
  into.protocol = uint8(bytes, at + IPV4_PROTOCOL)
  into.moreFragments = (fragment & MORE_FRAGMENTS) !== 0
  into.fragmentOffset = (fragment & OFFSET) << 3
  return true
}

/** True for an IPv4 header without options, of a whole packet. Its 20 bytes have to be there. */
export function isPlainIpv4(bytes: Uint8Array, at: number): boolean {
  return (
    uint8(bytes, at + VERSION) === PLAIN_VERSION &&
    (uint16(bytes, at + FRAGMENT) & (MORE_FRAGMENTS | OFFSET)) === 0
  )
}

/** Reads the other fields of an IPv4 header at byte `at` that {@link parseIpv4} has taken. */
export function readIpv4Details(bytes: Uint8Array, at: number, into: IpHeader): void {
  into.trafficClass = getUint8(bytes, at + TRAFFIC_CLASS)
  into.timeToLive = getUint8(bytes, at + TIME_TO_LIVE)
  into.flowLabel = 0
  into.identification = getUint16(bytes, at + IPV4_ID)
  into.dontFragment = (getUint16(bytes, at + FRAGMENT) & DONT_FRAGMENT) !== 0
}

/**
 * Writes an IPv4 header with its checksum at byte `at`. A packet longer than 16 bits can tell gets the
 * length 0.
 *
 * @param source address of 4 bytes, as `destination`.
 * @param options IPv4 options: 0 to 40 bytes, a multiple of 4.
 * @returns bytes of the header.
 */
export function writeIpv4(
  bytes: Uint8Array,
  at: number,
  header: IpHeader,
  source: Uint8Array,
  destination: Uint8Array,
  options: Uint8Array = NO_OPTIONS,
): number {
  const { packetBytes } = header
  const headerBytes = IPV4_HEADER_BYTES + options.length
  const flags =
    (header.dontFragment ? DONT_FRAGMENT : 0) | (header.moreFragments ? MORE_FRAGMENTS : 0)
  bytes[at + VERSION] = 0x40 | (headerBytes >> 2)
  bytes[at + TRAFFIC_CLASS] = header.trafficClass
  setUint16(bytes, at + IPV4_TOTAL_BYTES, packetBytes > MAX_IP_BYTES ? 0 : packetBytes)
  setUint16(bytes, at + IPV4_ID, header.identification)
  setUint16(bytes, at + FRAGMENT, flags | (header.fragmentOffset >> 3))
  bytes[at + TIME_TO_LIVE] = header.timeToLive
  bytes[at + IPV4_PROTOCOL] = header.protocol
  setUint16(bytes, at + IPV4_CHECKSUM, 0)
  copyBytes(source, 0, IPV4_ADDRESS_BYTES, bytes, at + IPV4_SOURCE)
  copyBytes(destination, 0, IPV4_ADDRESS_BYTES, bytes, at + IPV4_SOURCE + IPV4_ADDRESS_BYTES)
  copyBytes(options, 0, options.length, bytes, at + IPV4_HEADER_BYTES)
  setUint16(bytes, at + IPV4_CHECKSUM, ~sumBytes(bytes, at, headerBytes))
  return headerBytes
}

const NO_OPTIONS = new Uint8Array(0)
