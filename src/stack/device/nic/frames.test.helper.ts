/** Frames made by hand, and checksums the plain way, for the NIC's tests. */

import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { ACK } from '../../../wire/tcp.ts'

/** Fields of a frame. All of them have a default. */
export interface FrameSpec {
  readonly ipVersion?: 4 | 6
  readonly protocol?: 'tcp' | 'udp' | 'icmp'
  readonly vlan?: number
  /** Last byte of the addresses. */
  readonly source?: number
  readonly destination?: number
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly seq?: number
  readonly ack?: number
  readonly flags?: number
  readonly window?: number
  /** Bytes of TCP options: a multiple of 4, at most 40. */
  readonly options?: Uint8Array
  readonly payload?: Uint8Array
  readonly fragment?: boolean
  readonly ttl?: number
  /** Bytes of padding behind the packet. */
  readonly padding?: number
  readonly badChecksum?: boolean
}

/** `length` bytes that differ from each other and from those of another seed. */
export function pattern(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + seed * 17 + (at >> 8)) & 0xff)
}

export function address(ipVersion: 4 | 6, last: number): Uint8Array {
  if (ipVersion === 4) return Uint8Array.of(10, 0, 0, last)
  const bytes = new Uint8Array(16)
  bytes.set([0xfd, 0, 0, 1])
  bytes[15] = last
  return bytes
}

/** NOP, NOP, timestamps. */
export function timestamps(value: number): Uint8Array {
  const bytes = Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 7)
  new DataView(bytes.buffer).setUint32(4, value)
  return bytes
}

export function frame(spec: FrameSpec = {}): Uint8Array {
  const { ipVersion = 4, protocol = 'tcp', vlan, source = 1, destination = 2 } = spec
  const { options = new Uint8Array(0), payload = new Uint8Array(0), padding = 0 } = spec
  const l4Bytes = protocol === 'tcp' ? 20 + options.length : 8
  const ip = vlan === undefined ? 14 : 18
  const l4 = ip + (ipVersion === 4 ? 20 : 40)
  const end = l4 + l4Bytes + payload.length
  const bytes = new Uint8Array(end + padding)
  const view = new DataView(bytes.buffer)
  bytes.set([2, 0, 0, 0, 0, destination, 2, 0, 0, 0, 0, source])
  if (vlan !== undefined) {
    view.setUint16(12, 0x8100)
    view.setUint16(14, vlan)
  }
  view.setUint16(ip - 2, ipVersion === 4 ? 0x0800 : 0x86dd)
  const number = protocol === 'tcp' ? 6 : protocol === 'udp' ? 17 : 1
  if (ipVersion === 4) {
    bytes[ip] = 0x45
    view.setUint16(ip + 2, end - ip)
    view.setUint16(ip + 6, spec.fragment === true ? 0x2000 : 0x4000)
    bytes[ip + 8] = spec.ttl ?? 64
    bytes[ip + 9] = number
    bytes.set(address(4, source), ip + 12)
    bytes.set(address(4, destination), ip + 16)
  } else {
    bytes[ip] = 0x60
    view.setUint16(ip + 4, end - ip - 40)
    bytes[ip + 6] = number
    bytes[ip + 7] = spec.ttl ?? 64
    bytes.set(address(6, source), ip + 8)
    bytes.set(address(6, destination), ip + 24)
  }
  view.setUint16(l4, spec.sourcePort ?? 1000)
  view.setUint16(l4 + 2, spec.destinationPort ?? 80)
  if (protocol === 'tcp') {
    view.setUint32(l4 + 4, spec.seq ?? 0)
    view.setUint32(l4 + 8, spec.ack ?? 0)
    bytes[l4 + 12] = (l4Bytes / 4) << 4
    bytes[l4 + 13] = spec.flags ?? ACK
    view.setUint16(l4 + 14, spec.window ?? 500)
    bytes.set(options, l4 + 20)
  } else {
    view.setUint16(l4 + 4, 8 + payload.length)
  }
  bytes.set(payload, l4 + l4Bytes)
  bytes.fill(0xee, end)
  fillChecksums(bytes)
  if (spec.badChecksum === true) bytes[l4 + l4Bytes - 1] = (bytes[l4 + l4Bytes - 1] ?? 0) ^ 1
  return bytes
}

export function arp(length = 60): Uint8Array {
  const bytes = pattern(length)
  bytes.set([8, 6], 12)
  return bytes
}

export function layoutOf(bytes: Uint8Array, wireLength: number = bytes.length): FrameLayout {
  return parseFrame(bytes, 0, bytes.length, new FrameLayout(), wireLength)
}

function sum(bytes: Uint8Array, from: number, to: number, initial = 0): number {
  let total = initial
  for (let at = from; at < to; at++) total += (bytes[at] ?? 0) << ((at - from) & 1 ? 0 : 8)
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x1_0000)
  return total
}

/** Sum of the TCP or UDP packet, checksum included: 0xffff when it is right. */
function l4Sum(bytes: Uint8Array, at: number, layout: FrameLayout): number {
  const from = at + layout.l4Offset
  const length = layout.headerLength - layout.l4Offset + layout.payloadLength
  const addresses = at + layout.sourceOffset
  const pseudo = sum(bytes, addresses, addresses + 2 * layout.addressBytes)
  return sum(bytes, from, from + length, pseudo + layout.protocol + length)
}

export function fillChecksums(
  bytes: Uint8Array,
  at = 0,
  layout: FrameLayout = layoutOf(bytes),
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const ip = at + layout.ipOffset
  if (layout.ipVersion === 4) {
    view.setUint16(ip + 10, 0)
    view.setUint16(ip + 10, ~sum(bytes, ip, at + layout.l4Offset) & 0xffff)
  }
  if (layout.kind !== FrameKind.tcp && layout.kind !== FrameKind.udp) return
  const field = at + layout.l4Offset + (layout.kind === FrameKind.tcp ? 16 : 6)
  view.setUint16(field, 0)
  view.setUint16(field, ~l4Sum(bytes, at, layout) & 0xffff)
}

export function checksumsAreRight(bytes: Uint8Array, at: number, layout: FrameLayout): boolean {
  return ipChecksumIsRight(bytes, at, layout) && l4Sum(bytes, at, layout) === 0xffff
}

export function ipChecksumIsRight(bytes: Uint8Array, at: number, layout: FrameLayout): boolean {
  if (layout.ipVersion === 6) return true
  return sum(bytes, at + layout.ipOffset, at + layout.l4Offset) === 0xffff
}
