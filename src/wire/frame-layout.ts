/** Layout of an Ethernet frame as a NIC's parser sees it, made of the codecs of this folder. */

import { getUint8, getUint16 } from './bytes.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, type EthernetHeader, parseEthernet } from './ethernet.ts'
import { IPPROTO_TCP, IPPROTO_UDP, IpHeader, isFragment, MAX_IP_BYTES } from './ip.ts'
import {
  IPV4_ADDRESS_BYTES,
  IPV4_HEADER_BYTES,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_BYTES,
  isPlainIpv4,
  parseIpv4,
} from './ipv4.ts'
import {
  IPV6_ADDRESS_BYTES,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_BYTES,
  IPV6_SOURCE,
  parseIpv6,
} from './ipv6.ts'
import { parseTcp, type TcpHeader } from './tcp.ts'
import { parseUdp, UDP_HEADER_BYTES, type UdpHeader } from './udp.ts'

/** Kinds of frames that a NIC tells apart. Integers, since one is compared for every frame. */
export const FrameKind = {
  /** The headers are cut, or a length contradicts another. */
  malformed: 0,
  /** Frames without IP: ARP and everything else. */
  other: 1,
  /** A fragment of an IP packet, the first one included. */
  fragment: 2,
  /** IP without TCP or UDP. IPv6 whose routing header names another host first is of this kind too. */
  ip: 3,
  /** A whole TCP segment. */
  tcp: 4,
  /** A whole UDP datagram. */
  udp: 5,
} as const

/**
 * Layout of a frame. One object serves all frames: {@link parseFrame} overwrites every field. For a
 * malformed frame the fields before the fault are set, and ports, lengths and TCP's fields are 0.
 */
export class FrameLayout implements EthernetHeader, TcpHeader, UdpHeader {
  /** A value of {@link FrameKind}. */
  kind = 0
  /** Bytes of the frame that are there: fewer than on the wire if a capture was cut. */
  length = 0
  /** Type of the Ethernet payload, behind all VLAN tags. */
  etherType = 0
  /** VLAN id of the outermost tag, −1 without one. */
  vlan = -1
  /** 4, 6, or 0. */
  ipVersion = 0
  /** Offset of the IP header from the frame's first byte, as all offsets here. 0 without IP. */
  ipOffset = 0
  /** Offset of the source address, of `addressBytes` bytes. */
  sourceOffset = 0
  /** Offset of the destination address. */
  destinationOffset = 0
  /** Bytes of an address: 4 or 16, and 0 without IP. */
  addressBytes = 0
  /** IP protocol number, behind the IPv6 extension headers that the parser knows. */
  protocol = 0
  /** Offset of the TCP or UDP header, or of what else IP carries. 0 without IP. */
  l4Offset = 0
  /** 0 to 65,535. 0 unless kind is tcp or udp. */
  sourcePort = 0
  /** 0 to 65,535. 0 unless kind is tcp or udp. */
  destinationPort = 0
  /** Bytes of all headers with their options, in front of the payload. 0 unless kind is tcp or udp. */
  headerLength = 0
  /** Bytes of TCP or UDP payload on the wire, without Ethernet padding. */
  payloadLength = 0
  // TCP alone:
  /** Sequence number, signed 32 bits: engines keep larger numbers in objects. */
  seq = 0
  /** Acknowledgment number, signed 32 bits. */
  ack = 0
  /** Flags of TCP: {@link FIN}, {@link SYN} and so on, combined by or. */
  tcpFlags = 0
  /** Receive window as it stands in the header, not scaled. */
  window = 0
  /** Bytes from `seq` to the end of urgent data. */
  urgentPointer = 0
}

/** Bytes that no packet has: BIG TCP ends at 512 KiB (Linux, GSO_MAX_SIZE). */
const MAX_JUMBO_BYTES = 2 ** 20

// Copies that engines fold: they load what a file exports or imports at each use.
const kinds = FrameKind
const TYPE_IPV4 = ETHERTYPE_IPV4
const TYPE_IPV6 = ETHERTYPE_IPV6
const TCP = IPPROTO_TCP
const UDP = IPPROTO_UDP
const IPV4_BYTES = IPV4_HEADER_BYTES
const TOTAL_BYTES = IPV4_TOTAL_BYTES
const PROTOCOL = IPV4_PROTOCOL
const SOURCE_V4 = IPV4_SOURCE
const ADDRESS_V4_BYTES = IPV4_ADDRESS_BYTES
const IPV6_BYTES = IPV6_HEADER_BYTES
const PAYLOAD_BYTES = IPV6_PAYLOAD_BYTES
const NEXT_HEADER = IPV6_NEXT_HEADER
const SOURCE_V6 = IPV6_SOURCE
const ADDRESS_V6_BYTES = IPV6_ADDRESS_BYTES
const UDP_BYTES = UDP_HEADER_BYTES
const uint8 = getUint8
const uint16 = getUint16

/** Header of the packet that is being parsed. */
const ip = new IpHeader()

/**
 * Reads the headers of the frame of `length` bytes at `offset`. Never throws, and never reads outside
 * the frame.
 *
 * A length of 0 in the IP header means all of the wire length. Captures show it in packets that hardware
 * was to cut (TSO), and in packets of more than 64 KiB (BIG TCP), also inside a tunnel of UDP. A jumbo
 * payload option (RFC 2675) tells the length where there is one.
 *
 * @param wireLength length on the wire, more than `length` if a capture was cut.
 * @returns `into`.
 */
export function parseFrame(
  bytes: Uint8Array,
  offset: number,
  length: number,
  into: FrameLayout,
  wireLength: number = length,
): FrameLayout {
  const end = Math.min(offset + length, bytes.length)
  into.length = Math.max(end - offset, 0)
  into.etherType = 0
  into.ipOffset = parseEthernet(bytes, offset, end, into)
  if (into.etherType !== TYPE_IPV4 && into.etherType !== TYPE_IPV6) {
    return endWithoutIp(into, into.ipOffset === 0 ? kinds.malformed : kinds.other)
  }
  return parsePacket(bytes, offset + into.ipOffset, end, offset + wireLength, into)
}

/** Parses as {@link parseFrame} does, for a frame that a capture may have cut silently: the packet's lengths count. */
export function parseCutFrame(
  bytes: Uint8Array,
  offset: number,
  length: number,
  into: FrameLayout,
): FrameLayout {
  return parseFrame(bytes, offset, length, into, MAX_JUMBO_BYTES)
}

/**
 * Reads the IP packet at byte `at`, and the TCP segment or UDP datagram in it. One function with few
 * calls, since a call that the engine does not inline costs 2 ns.
 */
function parsePacket(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  into: FrameLayout,
): FrameLayout {
  const { ipOffset } = into
  const isIpv4 = into.etherType === TYPE_IPV4
  let protocol = 0
  let ipBytes = 0
  let packetEnd = 0
  let isFragmented = false
  // Almost all packets: no IPv4 options, no IPv6 extension headers, no fragments.
  if (isIpv4) {
    if (at + IPV4_BYTES <= end && isPlainIpv4(bytes, at)) {
      protocol = uint8(bytes, at + PROTOCOL)
      ipBytes = IPV4_BYTES
      packetEnd = at + uint16(bytes, at + TOTAL_BYTES)
    }
    into.ipVersion = 4
    into.addressBytes = ADDRESS_V4_BYTES
    into.sourceOffset = ipOffset + SOURCE_V4
    into.destinationOffset = ipOffset + SOURCE_V4 + ADDRESS_V4_BYTES
  } else {
    if (at + IPV6_BYTES <= end && uint8(bytes, at) >> 4 === 6) {
      protocol = uint8(bytes, at + NEXT_HEADER)
      ipBytes = IPV6_BYTES
      packetEnd = at + IPV6_BYTES + uint16(bytes, at + PAYLOAD_BYTES)
    }
    into.ipVersion = 6
    into.addressBytes = ADDRESS_V6_BYTES
    into.sourceOffset = ipOffset + SOURCE_V6
    into.destinationOffset = ipOffset + SOURCE_V6 + ADDRESS_V6_BYTES
  }
  const isPlain = protocol === TCP || protocol === UDP
  if (!isPlain || packetEnd <= at + ipBytes || packetEnd > wireEnd) {
    const isValid = isIpv4
      ? parseIpv4(bytes, at, end, wireEnd, ip)
      : parseIpv6(bytes, at, end, wireEnd, ip)
    if (!isValid) return endWithoutIp(into, kinds.malformed)
    protocol = ip.protocol
    ipBytes = ip.headerBytes
    packetEnd = at + ip.packetBytes
    isFragmented = isFragment(ip)
  }
  const l4At = at + ipBytes
  into.protocol = protocol
  into.l4Offset = ipOffset + ipBytes
  if (isFragmented) return endWithoutL4(into, kinds.fragment)
  if (protocol === TCP) {
    const headerBytes = parseTcp(bytes, l4At, end, packetEnd, into)
    if (headerBytes === 0) return endWithoutL4(into, kinds.malformed)
    into.kind = kinds.tcp
    into.headerLength = into.l4Offset + headerBytes
    into.payloadLength = packetEnd - l4At - headerBytes
    return into
  }
  if (protocol !== UDP) return endWithoutL4(into, kinds.ip)
  // A host shows the length 0 over IPv4 only in packets that 16 bits cannot measure.
  const isJumbo = !isIpv4 || packetEnd - at > MAX_IP_BYTES
  const datagramBytes = parseUdp(bytes, l4At, end, packetEnd, isJumbo, into)
  if (datagramBytes === 0) return endWithoutL4(into, kinds.malformed)
  into.kind = kinds.udp
  into.headerLength = into.l4Offset + UDP_BYTES
  into.payloadLength = datagramBytes - UDP_BYTES
  into.seq = 0
  into.ack = 0
  into.tcpFlags = 0
  into.window = 0
  into.urgentPointer = 0
  return into
}

/** Makes `into` the layout of a frame that has no IP header, or a malformed one. */
function endWithoutIp(into: FrameLayout, kind: number): FrameLayout {
  into.ipVersion = 0
  into.sourceOffset = 0
  into.destinationOffset = 0
  into.addressBytes = 0
  into.protocol = 0
  into.l4Offset = 0
  return endWithoutL4(into, kind)
}

/** Makes `into` the layout of a packet that has no TCP or UDP header, or a malformed one. */
function endWithoutL4(into: FrameLayout, kind: number): FrameLayout {
  into.kind = kind
  into.sourcePort = 0
  into.destinationPort = 0
  into.headerLength = 0
  into.payloadLength = 0
  into.seq = 0
  into.ack = 0
  into.tcpFlags = 0
  into.window = 0
  into.urgentPointer = 0
  return into
}
