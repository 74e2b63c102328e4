/** Layout of an Ethernet frame as a NIC's parser sees it, made of the codecs of this folder. */

import { getUint8, getUint16 } from './bytes.ts'
import {
  ETHERNET_HEADER_BYTES,
  ETHERNET_TYPE,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  type EthernetHeader,
  parseEthernet,
} from './ethernet.ts'
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
  isIpv6,
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

// Constants of other files, for `parseFrame`: engines fold those of this file, and load imported ones each
// time, which took 3 of 27 ns.
const TYPE_IPV4 = ETHERTYPE_IPV4
const TYPE_IPV6 = ETHERTYPE_IPV6
const TCP = IPPROTO_TCP
const UDP = IPPROTO_UDP
// Offsets in frames without VLAN tags, IPv4 options and IPv6 extension headers.
const PLAIN_TYPE = ETHERNET_TYPE
const PLAIN_IP = ETHERNET_HEADER_BYTES
const PLAIN_IPV4_BYTES = PLAIN_IP + IPV4_TOTAL_BYTES
const PLAIN_IPV4_PROTOCOL = PLAIN_IP + IPV4_PROTOCOL
const PLAIN_IPV4_SOURCE = PLAIN_IP + IPV4_SOURCE
const PLAIN_IPV4_DESTINATION = PLAIN_IPV4_SOURCE + IPV4_ADDRESS_BYTES
const PLAIN_IPV4_L4 = PLAIN_IP + IPV4_HEADER_BYTES
const PLAIN_IPV6_BYTES = PLAIN_IP + IPV6_PAYLOAD_BYTES
const PLAIN_IPV6_PROTOCOL = PLAIN_IP + IPV6_NEXT_HEADER
const PLAIN_IPV6_SOURCE = PLAIN_IP + IPV6_SOURCE
const PLAIN_IPV6_DESTINATION = PLAIN_IPV6_SOURCE + IPV6_ADDRESS_BYTES
const PLAIN_IPV6_L4 = PLAIN_IP + IPV6_HEADER_BYTES

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
  const wireEnd = offset + wireLength
  // Almost all frames: no VLAN tags, no IPv4 options, no IPv6 extension headers, no fragments. One
  // function with few calls, since a call that the engine does not inline costs 2 ns.
  // Headers of TCP over IPv4 are as long as one of IPv6. Short frames of UDP are left to `parseAny`.
  if (offset + PLAIN_IPV6_L4 <= end) {
    const etherType = getUint16(bytes, offset + PLAIN_TYPE)
    let protocol = 0
    let l4Offset = 0
    let packetEnd = 0
    if (etherType === TYPE_IPV4) {
      if (isPlainIpv4(bytes, offset + PLAIN_IP)) {
        protocol = getUint8(bytes, offset + PLAIN_IPV4_PROTOCOL)
        l4Offset = PLAIN_IPV4_L4
        packetEnd = offset + PLAIN_IP + getUint16(bytes, offset + PLAIN_IPV4_BYTES)
      }
    } else if (etherType === TYPE_IPV6 && isIpv6(bytes, offset + PLAIN_IP)) {
      protocol = getUint8(bytes, offset + PLAIN_IPV6_PROTOCOL)
      l4Offset = PLAIN_IPV6_L4
      packetEnd = offset + PLAIN_IPV6_L4 + getUint16(bytes, offset + PLAIN_IPV6_BYTES)
    }
    if (packetEnd <= wireEnd && (protocol === TCP || protocol === UDP)) {
      const l4HeaderBytes =
        protocol === TCP
          ? parseTcp(bytes, offset + l4Offset, end, packetEnd, into)
          : readPlainUdp(bytes, offset + l4Offset, end, packetEnd, into)
      if (l4HeaderBytes !== 0) {
        into.kind = protocol === TCP ? FrameKind.tcp : FrameKind.udp
        into.length = end - offset
        into.etherType = etherType
        into.vlan = -1
        into.ipOffset = PLAIN_IP
        into.protocol = protocol
        into.l4Offset = l4Offset
        into.headerLength = l4Offset + l4HeaderBytes
        into.payloadLength = packetEnd - offset - l4Offset - l4HeaderBytes
        if (etherType === TYPE_IPV4) {
          into.ipVersion = 4
          into.addressBytes = IPV4_ADDRESS_BYTES
          into.sourceOffset = PLAIN_IPV4_SOURCE
          into.destinationOffset = PLAIN_IPV4_DESTINATION
        } else {
          into.ipVersion = 6
          into.addressBytes = IPV6_ADDRESS_BYTES
          into.sourceOffset = PLAIN_IPV6_SOURCE
          into.destinationOffset = PLAIN_IPV6_DESTINATION
        }
        return into
      }
    }
  }
  return parseAny(bytes, offset, end, wireEnd, into)
}

/** Reads a UDP datagram that is all of its packet. Returns the bytes of its header, or 0 if it is not. */
function readPlainUdp(
  bytes: Uint8Array,
  at: number,
  end: number,
  packetEnd: number,
  into: FrameLayout,
): number {
  const datagramBytes = parseUdp(bytes, at, end, packetEnd, false, into)
  if (datagramBytes === 0 || datagramBytes !== packetEnd - at) return 0
  into.seq = 0
  into.ack = 0
  into.tcpFlags = 0
  into.window = 0
  into.urgentPointer = 0
  return UDP_HEADER_BYTES
}

/** Parses any frame from byte `offset` to `end`. */
function parseAny(
  bytes: Uint8Array,
  offset: number,
  end: number,
  wireEnd: number,
  into: FrameLayout,
): FrameLayout {
  reset(into, Math.max(end - offset, 0))
  const ipOffset = parseEthernet(bytes, offset, end, into)
  if (ipOffset === 0) return into
  into.ipOffset = ipOffset
  const at = offset + ipOffset
  if (into.etherType === ETHERTYPE_IPV4) {
    if (!parseIpv4(bytes, at, end, wireEnd, ip)) return into
    into.ipVersion = 4
    into.addressBytes = IPV4_ADDRESS_BYTES
    into.sourceOffset = ipOffset + IPV4_SOURCE
    into.destinationOffset = ipOffset + IPV4_SOURCE + IPV4_ADDRESS_BYTES
  } else if (into.etherType === ETHERTYPE_IPV6) {
    if (!parseIpv6(bytes, at, end, wireEnd, ip)) return into
    into.ipVersion = 6
    into.addressBytes = IPV6_ADDRESS_BYTES
    into.sourceOffset = ipOffset + IPV6_SOURCE
    into.destinationOffset = ipOffset + IPV6_SOURCE + IPV6_ADDRESS_BYTES
  } else {
    into.kind = FrameKind.other
    return into
  }
  into.protocol = ip.protocol
  into.l4Offset = ipOffset + ip.headerBytes
  if (isFragment(ip)) into.kind = FrameKind.fragment
  else if (ip.protocol === IPPROTO_TCP) readTcp(bytes, at, end, into)
  else if (ip.protocol === IPPROTO_UDP) readUdp(bytes, at, end, into)
  else into.kind = FrameKind.ip
  return into
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

/** Reads the TCP segment in the packet at byte `ipAt`. */
function readTcp(bytes: Uint8Array, ipAt: number, end: number, into: FrameLayout): void {
  const at = ipAt + ip.headerBytes
  const packetEnd = ipAt + ip.packetBytes
  const headerBytes = parseTcp(bytes, at, end, packetEnd, into)
  if (headerBytes === 0) return
  into.kind = FrameKind.tcp
  into.headerLength = into.l4Offset + headerBytes
  into.payloadLength = packetEnd - at - headerBytes
}

/** Reads the UDP datagram in the packet at byte `ipAt`. */
function readUdp(bytes: Uint8Array, ipAt: number, end: number, into: FrameLayout): void {
  const at = ipAt + ip.headerBytes
  // A host shows the length 0 over IPv4 only in packets that 16 bits cannot measure.
  const isJumbo = into.ipVersion === 6 || ip.packetBytes > MAX_IP_BYTES
  const datagramBytes = parseUdp(bytes, at, end, ipAt + ip.packetBytes, isJumbo, into)
  if (datagramBytes === 0) return
  into.kind = FrameKind.udp
  into.headerLength = into.l4Offset + UDP_HEADER_BYTES
  into.payloadLength = datagramBytes - UDP_HEADER_BYTES
}

/** Makes `into` the layout of a malformed frame of `length` bytes. */
function reset(into: FrameLayout, length: number): void {
  into.kind = FrameKind.malformed
  into.length = length
  into.etherType = 0
  into.vlan = -1
  into.ipVersion = 0
  into.ipOffset = 0
  into.sourceOffset = 0
  into.destinationOffset = 0
  into.addressBytes = 0
  into.protocol = 0
  into.l4Offset = 0
  into.sourcePort = 0
  into.destinationPort = 0
  into.headerLength = 0
  into.payloadLength = 0
  into.seq = 0
  into.ack = 0
  into.tcpFlags = 0
  into.window = 0
  into.urgentPointer = 0
}
