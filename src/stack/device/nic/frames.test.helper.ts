/** Frames made by hand, and checksums the plain way, for the NIC's tests. */

import {
  buildIpFrame,
  buildTcpFrame,
  buildUdpFrame,
} from '../../../wire/build-frame.test.helper.ts'
import { setInt32, setUint16 } from '../../../wire/bytes.ts'
import { ALL_ONES, pseudoHeaderSum, sumBytes } from '../../../wire/checksum.ts'
import { checksumOffset } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import { IPV4_CHECKSUM } from '../../../wire/ipv4.ts'
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
  setInt32(bytes, 4, value)
  return bytes
}

export function frame(spec: FrameSpec = {}): Uint8Array {
  const { ipVersion = 4, protocol = 'tcp', vlan, padding = 0 } = spec
  const { source = 1, destination = 2, payload = new Uint8Array(0) } = spec
  const ends = {
    sourceMac: Uint8Array.of(2, 0, 0, 0, 0, source),
    destinationMac: Uint8Array.of(2, 0, 0, 0, 0, destination),
    vlans: vlan === undefined ? [] : [{ id: vlan }],
    source: address(ipVersion, source),
    destination: address(ipVersion, destination),
    sourcePort: spec.sourcePort ?? 1000,
    destinationPort: spec.destinationPort ?? 80,
    timeToLive: spec.ttl ?? 64,
    dontFragment: spec.fragment !== true,
  }
  const { seq = 0, ack = 0, flags = ACK, window = 500, options = new Uint8Array(0) } = spec
  const fields = { seq, ack, flags, window, rawOptions: options }
  const icmp = {
    protocol: IPPROTO_ICMP,
    payload: Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, ...payload),
  }
  const length =
    protocol === 'tcp'
      ? buildTcpFrame({ ...ends, ...fields, payload }, memory, 0)
      : protocol === 'udp'
        ? buildUdpFrame({ ...ends, payload }, memory, 0)
        : buildIpFrame({ ...ends, ...icmp }, memory, 0)
  const bytes = new Uint8Array(length + padding).fill(0xee)
  bytes.set(memory.bytes.subarray(0, length))
  if (spec.fragment === true) {
    bytes[(vlan === undefined ? 14 : 18) + 6] = 0x20
    fillChecksums(bytes)
  }
  const lastOfL4 = length - payload.length - 1
  if (spec.badChecksum === true) bytes[lastOfL4] = (bytes[lastOfL4] ?? 0) ^ 1
  return bytes
}

const memory = createFrameMemory(2 ** 18)
const IPPROTO_ICMP = 1

export function arp(length = 60): Uint8Array {
  const bytes = pattern(length)
  bytes.set([8, 6], 12)
  return bytes
}

export function layoutOf(bytes: Uint8Array, wireLength: number = bytes.length): FrameLayout {
  return parseFrame(bytes, 0, bytes.length, new FrameLayout(), wireLength)
}

/** Sum of the TCP or UDP packet, checksum included: 0xffff when it is right. */
function l4Sum(bytes: Uint8Array, at: number, layout: FrameLayout): number {
  const length = layout.headerLength - layout.l4Offset + layout.payloadLength
  const { sourceOffset, addressBytes, protocol } = layout
  const pseudo = pseudoHeaderSum(bytes, at + sourceOffset, addressBytes, protocol, length)
  return sumBytes(bytes, at + layout.l4Offset, length, pseudo)
}

export function fillChecksums(
  bytes: Uint8Array,
  at = 0,
  layout: FrameLayout = layoutOf(bytes),
): void {
  const ip = at + layout.ipOffset
  if (layout.ipVersion === 4) {
    setUint16(bytes, ip + IPV4_CHECKSUM, 0)
    setUint16(bytes, ip + IPV4_CHECKSUM, ~sumBytes(bytes, ip, layout.l4Offset - layout.ipOffset))
  }
  if (layout.kind < FrameKind.tcp) return
  const checksumAt = at + layout.l4Offset + checksumOffset(layout)
  setUint16(bytes, checksumAt, 0)
  setUint16(bytes, checksumAt, ~l4Sum(bytes, at, layout))
}

export function checksumsAreRight(bytes: Uint8Array, at: number, layout: FrameLayout): boolean {
  return ipChecksumIsRight(bytes, at, layout) && l4Sum(bytes, at, layout) === ALL_ONES
}

export function ipChecksumIsRight(bytes: Uint8Array, at: number, layout: FrameLayout): boolean {
  if (layout.ipVersion === 6) return true
  return sumBytes(bytes, at + layout.ipOffset, layout.l4Offset - layout.ipOffset) === ALL_ONES
}
