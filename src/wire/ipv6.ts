/** IPv6 headers and their extension headers (RFC 8200, 3 and 4). */

import { copyBytes, getInt32, getUint8, getUint16, setInt32, setUint16 } from './bytes.ts'
import { type IpHeader, isFragment, MAX_IP_BYTES } from './ip.ts'

/** Bytes of an IPv6 header without extension headers. */
export const IPV6_HEADER_BYTES = 40
/** Bytes of an IPv6 address. */
export const IPV6_ADDRESS_BYTES = 16

// Offsets that others need.
/** Offset of the payload's length in an IPv6 header. */
export const IPV6_PAYLOAD_BYTES = 4
/** Offset of the next header's number in an IPv6 header. */
export const IPV6_NEXT_HEADER = 6
/** Offset of the source address in an IPv6 header. The destination address follows it. */
export const IPV6_SOURCE = 8

const VERSION = 0
const HOP_LIMIT = 7

// Names of extension headers as in Linux, include/uapi/linux/in6.h.
/** IPv6 extension header of options for each hop, allowed as the first one only (RFC 8200, 4.3). */
export const IPPROTO_HOPOPTS = 0
/** IPv6 extension header of a fragment, always 8 bytes (RFC 8200, 4.5). */
export const IPPROTO_FRAGMENT = 44
const IPPROTO_ROUTING = 43
const IPPROTO_DSTOPTS = 60

// Offsets in extension headers.
const LENGTH = 1
const SEGMENTS_LEFT = 3
const FRAGMENT_OFFSET = 2
const FRAGMENT_ID = 4
/** Unit of lengths, and the least length of an extension header. */
const UNIT_BYTES = 8

// Bits of the word at FRAGMENT_OFFSET. The offset counts units of 8 bytes from bit 3 on.
const MORE_FRAGMENTS = 1
const OFFSET = 0xfff8

// Option types of the hop-by-hop header (RFC 8200, 4.2; RFC 2675, 2).
const PAD1 = 0
const JUMBO_PAYLOAD = 0xc2

/**
 * Reads the IPv6 header of the packet at byte `at`, and its extension headers. Stops at a fragment, and
 * at a source route that continues. The protocol of such a route is {@link IPPROTO_ROUTING}, since its
 * destination and checksum belong to another host.
 *
 * A payload length of 0 means all bytes up to `wireEnd`, unless a jumbo payload option has the length
 * (RFC 2675). Hosts show both in packets that their hardware cuts (TSO, BIG TCP).
 *
 * @param end end of the bytes that are there.
 * @param wireEnd end of the frame on the wire, behind `end` where a capture was cut.
 * @returns false, and `into` has no meaning then, if a header is cut or contradicts another.
 */
export function parseIpv6(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  into: IpHeader,
): boolean {
  if (at + IPV6_HEADER_BYTES > end || getUint8(bytes, at + VERSION) >> 4 !== 6) return false
  const payloadBytes = getUint16(bytes, at + IPV6_PAYLOAD_BYTES)
  const packetBytes = payloadBytes === 0 ? wireEnd - at : IPV6_HEADER_BYTES + payloadBytes
  if (at + packetBytes > wireEnd) return false
  const protocol = getUint8(bytes, at + IPV6_NEXT_HEADER)
  into.headerBytes = IPV6_HEADER_BYTES
  into.packetBytes = packetBytes
  into.protocol = protocol
  into.moreFragments = false
  into.fragmentOffset = 0
  return !isExtension(protocol) || parseExtensions(bytes, at, end, wireEnd, into)
}

/** Reads the extension headers of the packet at byte `packetAt`. */
function parseExtensions(
  bytes: Uint8Array,
  packetAt: number,
  end: number,
  wireEnd: number,
  into: IpHeader,
): boolean {
  const hasLength = getUint16(bytes, packetAt + IPV6_PAYLOAD_BYTES) !== 0
  let packetEnd = packetAt + into.packetBytes
  while (isExtension(into.protocol)) {
    const next = into.protocol
    const at = packetAt + into.headerBytes
    if (at + UNIT_BYTES > end || at + UNIT_BYTES > packetEnd) return false
    // Allowed as the first header only (RFC 8200, 4.1).
    if (next === IPPROTO_HOPOPTS && into.headerBytes !== IPV6_HEADER_BYTES) return false
    if (next === IPPROTO_ROUTING && getUint8(bytes, at + SEGMENTS_LEFT) !== 0) return true
    const units = next === IPPROTO_FRAGMENT ? 0 : getUint8(bytes, at + LENGTH)
    const extensionEnd = at + UNIT_BYTES * (1 + units)
    if (extensionEnd > end || extensionEnd > packetEnd) return false
    if (next === IPPROTO_FRAGMENT) {
      const fragment = getUint16(bytes, at + FRAGMENT_OFFSET)
      into.moreFragments = (fragment & MORE_FRAGMENTS) !== 0
      into.fragmentOffset = fragment & OFFSET
      into.identification = getInt32(bytes, at + FRAGMENT_ID)
      // A jumbo payload is never fragmented (RFC 2675, 3).
      if (!hasLength && isFragment(into)) return false
    }
    if (!hasLength && next === IPPROTO_HOPOPTS) {
      const jumboBytes = jumboPayloadBytes(bytes, at + 2, extensionEnd)
      if (jumboBytes >= 0) packetEnd = packetAt + IPV6_HEADER_BYTES + jumboBytes
      if (packetEnd > wireEnd || extensionEnd > packetEnd) return false
    }
    into.protocol = getUint8(bytes, at)
    into.headerBytes = extensionEnd - packetAt
    if (isFragment(into)) break
  }
  into.packetBytes = packetEnd - packetAt
  return true
}

function isExtension(protocol: number): boolean {
  return (
    protocol === IPPROTO_HOPOPTS ||
    protocol === IPPROTO_ROUTING ||
    protocol === IPPROTO_DSTOPTS ||
    protocol === IPPROTO_FRAGMENT
  )
}

/** Returns the length in a jumbo payload option among the options from `at` to `end`, or −1 without one. */
function jumboPayloadBytes(bytes: Uint8Array, at: number, end: number): number {
  for (let option = at; option + 6 <= end; ) {
    const type = getUint8(bytes, option)
    if (type === JUMBO_PAYLOAD) return getInt32(bytes, option + 2) >>> 0
    option += type === PAD1 ? 1 : 2 + getUint8(bytes, option + 1)
  }
  return -1
}

/** Reads the other fields of an IPv6 header at byte `at` that {@link parseIpv6} has taken. */
export function readIpv6Details(bytes: Uint8Array, at: number, into: IpHeader): void {
  const first = getInt32(bytes, at + VERSION)
  into.trafficClass = (first >>> 20) & 0xff
  into.timeToLive = getUint8(bytes, at + HOP_LIMIT)
  into.flowLabel = first & 0xf_ffff
  into.dontFragment = false
}

/**
 * Writes an IPv6 header without extension headers at byte `at`. A packet longer than 16 bits can tell
 * gets the length 0. `header.protocol` names the next header: an extension header or the payload.
 *
 * @param source address of 16 bytes, as `destination`.
 * @returns bytes of the header.
 */
export function writeIpv6(
  bytes: Uint8Array,
  at: number,
  header: IpHeader,
  source: Uint8Array,
  destination: Uint8Array,
): number {
  const payloadBytes = header.packetBytes - IPV6_HEADER_BYTES
  setInt32(bytes, at + VERSION, (6 << 28) | (header.trafficClass << 20) | header.flowLabel)
  setUint16(bytes, at + IPV6_PAYLOAD_BYTES, payloadBytes > MAX_IP_BYTES ? 0 : payloadBytes)
  bytes[at + IPV6_NEXT_HEADER] = header.protocol
  bytes[at + HOP_LIMIT] = header.timeToLive
  copyBytes(source, 0, IPV6_ADDRESS_BYTES, bytes, at + IPV6_SOURCE)
  copyBytes(destination, 0, IPV6_ADDRESS_BYTES, bytes, at + IPV6_SOURCE + IPV6_ADDRESS_BYTES)
  return IPV6_HEADER_BYTES
}
