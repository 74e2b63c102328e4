/** Whole frames from their fields, for every test that needs some. Nothing is checked: wrong frames are tests too. */

import assert from 'node:assert/strict'

import { parseAddress, parseMac } from './address.ts'
import { setInt32, setUint16 } from './bytes.ts'
import {
  ETHERNET_HEADER_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  type VlanTag,
  writeEthernet,
} from './ethernet.ts'
import { fillChecksums, fillPartialChecksum } from './frame-checksums.ts'
import { FrameLayout, parseFrame } from './frame-layout.ts'
import { createFrameMemory, type FrameMemory } from './frame-memory.ts'
import { IPPROTO_TCP, IPPROTO_UDP, IpHeader, MAX_IP_BYTES } from './ip.ts'
import { IPV4_HEADER_BYTES, writeIpv4 } from './ipv4.ts'
import { IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPV6_HEADER_BYTES, writeIpv6 } from './ipv6.ts'
import { ACK, TCP_HEADER_BYTES, type TcpHeader, writeTcp } from './tcp.ts'
import { MAX_TCP_OPTION_BYTES, TcpOptions, writeTcpOptions } from './tcp-options.ts'
import { UDP_HEADER_BYTES, writeUdp } from './udp.ts'

/** Fields of all frames. Addresses are text, or their bytes. */
export interface IpOptions {
  readonly sourceMac?: string | Uint8Array
  readonly destinationMac?: string | Uint8Array
  /** VLAN tags, the outermost first. */
  readonly vlans?: readonly VlanTag[]
  /** IPv4 or IPv6, as `destination`. */
  readonly source: string | Uint8Array
  readonly destination: string | Uint8Array
  /** IPv4's time to live or IPv6's hop limit. 64 by default. */
  readonly timeToLive?: number
  readonly trafficClass?: number
  /** IPv6 only: 20 bits. */
  readonly flowLabel?: number
  /** 16 bits in IPv4, 32 bits in an IPv6 fragment. */
  readonly identification?: number
  /** IPv4 only. */
  readonly dontFragment?: boolean
  /** IPv4 only: 0 to 40 bytes, a multiple of 4. */
  readonly ipv4Options?: Uint8Array
  /** IPv6 only: extension headers, each a multiple of 8 bytes. Their first byte is overwritten. */
  readonly extensions?: readonly Extension[]
  /** Length up to which Ethernet padding is added. 0 by default. */
  readonly minimumBytes?: number
}

export interface Extension {
  /** Number of the extension in the header before. */
  readonly protocol: number
  readonly bytes: Uint8Array
}

interface Fragment {
  /** Place in the packet where the payload begins: bytes, a multiple of 8. */
  readonly offset: number
  readonly more: boolean
}

/** An IP packet or fragment with any payload, which is left as it is. */
export interface IpFrameOptions extends IpOptions {
  readonly protocol: number
  readonly payload: Uint8Array
  readonly fragment?: Fragment
}

export interface UdpFrameOptions extends IpOptions {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly payload?: Uint8Array
  /** `partial` leaves the sum of the pseudo-header in its place (CHECKSUM_PARTIAL). `complete` by default. */
  readonly checksum?: 'complete' | 'partial'
}

export interface TcpFrameOptions extends UdpFrameOptions {
  readonly seq?: number
  readonly ack?: number
  /** ACK by default. */
  readonly flags?: number
  /** 65535 by default. */
  readonly window?: number
  readonly urgentPointer?: number
  readonly mssBytes?: number
  readonly windowScale?: number
  readonly sackPermitted?: boolean
  readonly timestamps?: { readonly value: number; readonly echo: number }
  readonly sack?: readonly { readonly left: number; readonly right: number }[]
  /** Bytes of options, a multiple of 4, in the place of those above. */
  readonly rawOptions?: Uint8Array
}

/**
 * Writes a TCP frame at `offset` of `memory` and returns its bytes. A packet whose length does not
 * fit in 16 bits gets the length 0, and over IPv6 a jumbo payload option, as from hosts with TSO.
 */
export function buildTcpFrame(
  options: TcpFrameOptions,
  memory: FrameMemory,
  offset: number,
): number {
  const bytes = new Uint8Array(TCP_HEADER_BYTES + MAX_TCP_OPTION_BYTES)
  const { rawOptions } = options
  if (rawOptions !== undefined) bytes.set(rawOptions, TCP_HEADER_BYTES)
  const optionBytes =
    rawOptions?.length ?? writeTcpOptions(bytes, TCP_HEADER_BYTES, tcpOptionsOf(options))
  const header: TcpHeader = {
    sourcePort: options.sourcePort,
    destinationPort: options.destinationPort,
    seq: options.seq ?? 0,
    ack: options.ack ?? 0,
    tcpFlags: options.flags ?? ACK,
    window: options.window ?? 0xffff,
    urgentPointer: options.urgentPointer ?? 0,
  }
  const headerBytes = writeTcp(bytes, 0, header, optionBytes)
  return buildL4(options, IPPROTO_TCP, bytes.subarray(0, headerBytes), memory, offset)
}

/** Builds the frame of a UDP datagram, with the defaults of {@link buildTcpFrame}. */
export function buildUdpFrame(
  options: UdpFrameOptions,
  memory: FrameMemory,
  offset: number,
): number {
  const bytes = new Uint8Array(UDP_HEADER_BYTES)
  writeUdp(bytes, 0, options, UDP_HEADER_BYTES + (options.payload?.length ?? 0))
  return buildL4(options, IPPROTO_UDP, bytes, memory, offset)
}

/** Builds the frame of an IP packet or fragment, with the defaults of {@link buildTcpFrame}. */
export function buildIpFrame(options: IpFrameOptions, memory: FrameMemory, offset: number): number {
  return build(options, options.protocol, options.payload, memory, offset, options.fragment)
}

/** A TCP frame by itself, from 10.0.0.1:40000 to 10.0.0.2:5001 unless the options say otherwise. */
export function tcpFrame(options: Partial<TcpFrameOptions> = {}): Uint8Array {
  const length = buildTcpFrame({ ...ENDS, ...options }, scratch, 0)
  return scratch.bytes.slice(0, length)
}

const scratch = createFrameMemory(2 ** 18)
const ENDS = {
  source: '10.0.0.1',
  destination: '10.0.0.2',
  sourcePort: 40_000,
  destinationPort: 5001,
} as const

function buildL4(
  options: UdpFrameOptions,
  protocol: number,
  header: Uint8Array,
  memory: FrameMemory,
  offset: number,
): number {
  const payload = options.payload ?? new Uint8Array(0)
  const segment = new Uint8Array(header.length + payload.length)
  segment.set(header)
  segment.set(payload, header.length)
  const length = build(options, protocol, segment, memory, offset)
  const layout = parseFrame(memory.bytes, offset, length, new FrameLayout())
  if (options.checksum === 'partial') fillPartialChecksum(memory, offset, layout)
  else fillChecksums(memory, offset, layout)
  return length
}

function build(
  options: IpOptions,
  protocol: number,
  payload: Uint8Array,
  memory: FrameMemory,
  offset: number,
  fragment: Fragment = { offset: 0, more: false },
): number {
  const { vlans = [], ipv4Options = new Uint8Array(0) } = options
  const source = addressOf(options.source)
  const destination = addressOf(options.destination)
  assert.equal(source.length, destination.length, 'addresses of one IP version')
  const isV4 = source.length === 4
  const extensions = isV4 ? [] : extensionsOf(options, protocol, payload.length, fragment)
  const extensionBytes = extensions.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const ipBytes = isV4 ? IPV4_HEADER_BYTES + ipv4Options.length : IPV6_HEADER_BYTES + extensionBytes

  const header = new IpHeader()
  header.packetBytes = ipBytes + payload.length
  header.protocol = extensions[0]?.protocol ?? protocol
  header.trafficClass = options.trafficClass ?? 0
  header.timeToLive = options.timeToLive ?? 64
  header.flowLabel = options.flowLabel ?? 0
  header.identification = options.identification ?? 0
  header.dontFragment = options.dontFragment ?? false
  header.moreFragments = fragment.more
  header.fragmentOffset = fragment.offset

  const ethernetBytes = ETHERNET_HEADER_BYTES + 4 * vlans.length
  const packetEnd = ethernetBytes + header.packetBytes
  const frameBytes = Math.max(packetEnd, options.minimumBytes ?? 0)
  const bytes = memory.bytes.subarray(offset, offset + frameBytes)
  assert.equal(bytes.length, frameBytes, 'the frame fits in its memory')
  const destinationMac = macOf(options.destinationMac ?? '02:00:00:00:00:02')
  const sourceMac = macOf(options.sourceMac ?? '02:00:00:00:00:01')
  const etherType = isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6
  writeEthernet(bytes, 0, destinationMac, sourceMac, etherType, vlans)
  if (isV4) writeIpv4(bytes, ethernetBytes, header, source, destination, ipv4Options)
  else writeIpv6(bytes, ethernetBytes, header, source, destination)
  let at = ethernetBytes + IPV6_HEADER_BYTES
  for (const [i, extension] of extensions.entries()) {
    bytes.set(extension.bytes, at)
    bytes[at] = extensions[i + 1]?.protocol ?? protocol
    at += extension.bytes.length
  }
  bytes.set(payload, packetEnd - payload.length)
  bytes.fill(0, packetEnd)
  return frameBytes
}

function extensionsOf(
  options: IpOptions,
  protocol: number,
  payloadBytes: number,
  fragment: Fragment,
): Extension[] {
  const extensions = [...(options.extensions ?? [])]
  if (fragment.more || fragment.offset > 0) {
    // RFC 8200, 4.5.
    const bytes = new Uint8Array(8)
    setUint16(bytes, 2, fragment.offset | (fragment.more ? 1 : 0))
    setInt32(bytes, 4, options.identification ?? 0)
    extensions.push({ protocol: IPPROTO_FRAGMENT, bytes })
  }
  const length = extensions.reduce((sum, { bytes }) => sum + bytes.length, payloadBytes)
  if (protocol === IPPROTO_TCP && length > MAX_IP_BYTES) {
    // RFC 2675, 2, as BIG TCP has it.
    const bytes = Uint8Array.of(0, 0, 0xc2, 4, 0, 0, 0, 0)
    setInt32(bytes, 4, length + 8)
    extensions.unshift({ protocol: IPPROTO_HOPOPTS, bytes })
  }
  return extensions
}

function tcpOptionsOf(options: TcpFrameOptions): TcpOptions {
  const { timestamps, sack = [] } = options
  const into = new TcpOptions()
  into.mssBytes = options.mssBytes ?? 0
  into.windowScale = options.windowScale ?? -1
  into.sackPermitted = options.sackPermitted ?? false
  into.hasTimestamps = timestamps !== undefined
  into.timestamp = timestamps?.value ?? 0
  into.timestampEcho = timestamps?.echo ?? 0
  into.sackBlocks = sack.length
  into.sackEdges.set(sack.flatMap(({ left, right }) => [left, right]))
  return into
}

function addressOf(address: string | Uint8Array): Uint8Array {
  return typeof address === 'string' ? parseAddress(address) : address
}

function macOf(address: string | Uint8Array): Uint8Array {
  return typeof address === 'string' ? parseMac(address) : address
}
