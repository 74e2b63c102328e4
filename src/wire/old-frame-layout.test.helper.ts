/** Where everything is in one Ethernet frame. Pure: reads the bytes it is given, and no others. */

import { getInt32, getUint8, getUint16 } from './bytes.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from './ip.ts'

/** What a frame is, as far as a NIC can tell. Integers, since one is compared for every frame. */
export const FrameKind = {
  /** Its headers are not all there, or a length in it contradicts another. */
  malformed: 0,
  /** Neither IPv4 nor IPv6: ARP and everything else. */
  other: 1,
  /** A fragment of an IP packet, the first one too. */
  fragment: 2,
  /** IP, but neither TCP nor UDP; also IPv6 that a routing header takes elsewhere first. */
  ip: 3,
  tcp: 4,
  udp: 5,
} as const

/**
 * One object for all frames: {@link parseFrame} overwrites every field. Of a malformed frame it has
 * what stands before the fault; ports, lengths and the TCP fields are 0 then.
 */
export class OldFrameLayout {
  kind = 0
  /** Bytes of the frame that are there: fewer than on the wire when it was cut. */
  length = 0
  /** Of the Ethernet payload, after VLAN tags. */
  etherType = 0
  /** VLAN id of the outermost tag, −1 without one. */
  vlan = -1
  /** 4, 6, or 0. */
  ipVersion = 0
  /** From the frame's first byte, as all offsets here. */
  ipOffset = 0
  /** Source and destination address, of `addressBytes` each. */
  sourceOffset = 0
  destinationOffset = 0
  /** 4 or 16; 0 without IP. */
  addressBytes = 0
  /** IP protocol number, after the IPv6 extension headers that are understood. */
  protocol = 0
  l4Offset = 0
  sourcePort = 0
  destinationPort = 0
  /** Ethernet, IP and TCP or UDP headers with their options: where the payload begins. 0 unless kind is tcp or udp. */
  headerLength = 0
  /** Bytes of TCP or UDP payload, as the headers tell (Ethernet padding is not in it); of a cut frame as on the wire. */
  payloadLength = 0
  // TCP alone:
  /** As signed 32-bit, like `ack`: an engine keeps other numbers that large in objects. */
  seq = 0
  ack = 0
  /** The TCP flags byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  tcpFlags = 0
  /** As it stands there, not scaled. */
  window = 0
  urgentPointer = 0
}

const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_IPV6 = 0x86dd
/** IPv6 option type of a jumbo payload's length (RFC 2675, 2). */
const JUMBO_PAYLOAD = 0xc2
/** A longer packet needs a length of 0 in its IP header. */
const MAX_IP_BYTES = 0xffff
/** More than any packet: BIG TCP ends at 512 KiB (Linux, GSO_MAX_SIZE). */
const MAX_JUMBO_BYTES = 2 ** 20
/** IPv6 extension headers with the length format of RFC 6564: hop-by-hop, routing, destination. */
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION = 60

/**
 * Reads the headers of the frame of `length` bytes at `offset`, and returns `into`. `wireLength` is
 * its length on the wire, more than `length` where a capture was cut. Never throws and never reads
 * outside the frame.
 *
 * An IPv4 total length or IPv6 payload length of 0 stands for all of the wire length. Captures show
 * it in packets that hardware was to cut (TSO), and in all packets of more than 64 KiB: BIG TCP,
 * also inside a tunnel of UDP. A jumbo payload option (RFC 2675) is believed where there is one.
 */
export function parseFrame(
  bytes: Uint8Array,
  offset: number,
  length: number,
  into: OldFrameLayout,
  wireLength: number = length,
): OldFrameLayout {
  const end = Math.min(offset + length, bytes.length)
  into.kind = FrameKind.malformed
  into.length = Math.max(end - offset, 0)
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
  let at = offset + 14
  if (at > end) return into
  let etherType = getUint16(bytes, offset + 12)
  while (etherType !== ETHERTYPE_IPV4 && isVlanTag(etherType)) {
    if (at + 4 > end) return into
    if (into.vlan < 0) into.vlan = getUint16(bytes, at) & 0xfff
    etherType = getUint16(bytes, at + 2)
    at += 4
  }
  into.etherType = etherType
  into.ipOffset = at - offset
  const onWire = offset + wireLength
  if (etherType === ETHERTYPE_IPV4) parseIpv4(bytes, offset, end, onWire, into)
  else if (etherType === ETHERTYPE_IPV6) parseIpv6(bytes, offset, end, onWire, into)
  else into.kind = FrameKind.other
  return into
}

/**
 * Reads a frame as {@link parseFrame} does, and believes the packet's own lengths: a capture may have
 * cut the frame without saying so.
 */
export function parseCutFrame(
  bytes: Uint8Array,
  offset: number,
  length: number,
  into: OldFrameLayout,
): OldFrameLayout {
  return parseFrame(bytes, offset, length, into, MAX_JUMBO_BYTES)
}

/** RFC 791, 3.1. */
function parseIpv4(
  bytes: Uint8Array,
  offset: number,
  end: number,
  onWire: number,
  into: OldFrameLayout,
): void {
  const at = offset + into.ipOffset
  if (at + 20 > end || getUint8(bytes, at) >> 4 !== 4) return
  const headerBytes = (getUint8(bytes, at) & 15) * 4
  // More fragments, or not the first.
  const fragmented = (getUint16(bytes, at + 6) & 0x3fff) !== 0
  let totalBytes = getUint16(bytes, at + 2)
  if (totalBytes === 0 && !fragmented) totalBytes = onWire - at
  if (headerBytes < 20 || totalBytes < headerBytes) return
  if (at + headerBytes > end || at + totalBytes > onWire) return
  into.ipVersion = 4
  into.addressBytes = 4
  into.sourceOffset = into.ipOffset + 12
  into.destinationOffset = into.ipOffset + 16
  into.protocol = getUint8(bytes, at + 9)
  into.l4Offset = into.ipOffset + headerBytes
  if (fragmented) into.kind = FrameKind.fragment
  else parseL4(bytes, offset, end, at + totalBytes, into)
}

/** RFC 8200, 3 and 4. */
function parseIpv6(
  bytes: Uint8Array,
  offset: number,
  end: number,
  onWire: number,
  into: OldFrameLayout,
): void {
  const header = offset + into.ipOffset
  if (header + 40 > end || getUint8(bytes, header) >> 4 !== 6) return
  const payloadBytes = getUint16(bytes, header + 4)
  let packetEnd = payloadBytes === 0 ? onWire : header + 40 + payloadBytes
  if (packetEnd > onWire) return
  let next = getUint8(bytes, header + 6)
  let at = header + 40
  let fragmented = false
  while (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION || next === FRAGMENT) {
    if (at + 8 > end || at + 8 > packetEnd) return
    // Only ever the first (RFC 8200, 4.1).
    if (next === HOP_BY_HOP && at !== header + 40) return
    // Segments left: its address and checksum are those of another destination still (8.1).
    if (next === ROUTING && getUint8(bytes, at + 3) !== 0) break
    fragmented = next === FRAGMENT && (getUint16(bytes, at + 2) & 0xfff9) !== 0
    const headerBytes = next === FRAGMENT ? 8 : 8 + 8 * getUint8(bytes, at + 1)
    if (at + headerBytes > end || at + headerBytes > packetEnd) return
    if (payloadBytes === 0) {
      // A jumbo payload is never fragmented (RFC 2675, 3).
      if (fragmented) return
      if (next === HOP_BY_HOP) {
        const jumboBytes = jumboPayloadBytes(bytes, at + 2, at + headerBytes)
        if (jumboBytes >= 0) packetEnd = header + 40 + jumboBytes
        if (packetEnd > onWire || at + headerBytes > packetEnd) return
      }
    }
    next = getUint8(bytes, at)
    at += headerBytes
    if (fragmented) break
  }
  into.ipVersion = 6
  into.addressBytes = 16
  into.sourceOffset = into.ipOffset + 8
  into.destinationOffset = into.ipOffset + 24
  into.protocol = next
  into.l4Offset = at - offset
  if (fragmented) into.kind = FrameKind.fragment
  else parseL4(bytes, offset, end, packetEnd, into)
}

/** The length in a jumbo payload option among the options from `at` to `end`; −1 without one. */
function jumboPayloadBytes(bytes: Uint8Array, at: number, end: number): number {
  for (let option = at; option + 6 <= end; ) {
    const type = getUint8(bytes, option)
    if (type === JUMBO_PAYLOAD) return getInt32(bytes, option + 2) >>> 0
    // Pad1 is one byte alone (RFC 8200, 4.2).
    option += type === 0 ? 1 : 2 + getUint8(bytes, option + 1)
  }
  return -1
}

/** RFC 9293, 3.1; RFC 768. */
function parseL4(
  bytes: Uint8Array,
  offset: number,
  end: number,
  packetEnd: number,
  into: OldFrameLayout,
): void {
  const at = offset + into.l4Offset
  if (into.protocol !== IPPROTO_TCP && into.protocol !== IPPROTO_UDP) {
    into.kind = FrameKind.ip
    return
  }
  const least = into.protocol === IPPROTO_TCP ? 20 : 8
  if (at + least > end || at + least > packetEnd) return
  const headerBytes = into.protocol === IPPROTO_TCP ? (getUint8(bytes, at + 12) >> 4) * 4 : 8
  if (headerBytes < least || at + headerBytes > packetEnd || at + headerBytes > end) return
  let payloadBytes = packetEnd - at - headerBytes
  if (into.protocol === IPPROTO_UDP) {
    const udpBytes = getUint16(bytes, at + 4)
    // 0 is all there is over IPv6 (RFC 2675, 4), and over IPv4 in a packet that 16 bits cannot measure.
    const packetBytes = packetEnd - offset - into.ipOffset
    if (udpBytes !== 0 || (into.ipVersion === 4 && packetBytes <= MAX_IP_BYTES)) {
      if (udpBytes < 8 || udpBytes - 8 > payloadBytes) return
      payloadBytes = udpBytes - 8
    }
  }
  into.sourcePort = getUint16(bytes, at)
  into.destinationPort = getUint16(bytes, at + 2)
  into.headerLength = into.l4Offset + headerBytes
  into.payloadLength = payloadBytes
  if (into.protocol === IPPROTO_UDP) {
    into.kind = FrameKind.udp
    return
  }
  into.seq = getInt32(bytes, at + 4)
  into.ack = getInt32(bytes, at + 8)
  into.tcpFlags = getUint8(bytes, at + 13)
  into.window = getUint16(bytes, at + 14)
  into.urgentPointer = getUint16(bytes, at + 18)
  into.kind = FrameKind.tcp
}

/** 802.1Q, 802.1ad, and the types of stacked tags that were in use before 802.1ad (Linux, if_ether.h). */
function isVlanTag(etherType: number): boolean {
  return (
    etherType === 0x8100 ||
    etherType === 0x88a8 ||
    etherType === 0x9100 ||
    etherType === 0x9200 ||
    etherType === 0x9300
  )
}
