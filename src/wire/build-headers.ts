/** The Ethernet and IP headers of frames that are built, with VLAN tags, options and extension headers. */

import { ArgumentRangeError, checkInteger } from '../errors.ts'
import { formatAddress, parseAddress, parseMac } from './address.ts'
import { ByteWriter } from './byte-writer.ts'
import { IPPROTO_TCP } from './ip.ts'

/** What every frame has. Addresses are text, or their bytes. */
export interface IpOptions {
  readonly sourceMac?: string | Uint8Array
  readonly destinationMac?: string | Uint8Array
  /** VLAN tags, the outermost first. */
  readonly vlans?: readonly VlanTag[]
  /** IPv4 or IPv6, as `destination`. */
  readonly source: string | Uint8Array
  readonly destination: string | Uint8Array
  /** IPv4's time to live or IPv6's hop limit; 64 by default. */
  readonly timeToLive?: number
  /** Type of service or traffic class: DSCP and ECN. */
  readonly trafficClass?: number
  /** IPv6 only: 20 bits. */
  readonly flowLabel?: number
  /** IPv4: 16 bits; of an IPv6 fragment 32 bits. */
  readonly identification?: number
  /** IPv4 only: sets DF. */
  readonly dontFragment?: boolean
  /** IPv4 only: options, 0 to 40 bytes, a multiple of 4. */
  readonly ipv4Options?: Uint8Array
  /** IPv6 only: extension headers, each whole and a multiple of 8 bytes; their first byte is overwritten. */
  readonly extensions?: readonly Extension[]
  /** Bytes of Ethernet padding are added up to this length; 0 by default, 60 on a real wire. */
  readonly minimumBytes?: number
}

interface VlanTag {
  /** 0 to 4095. */
  readonly id: number
  /** 0 to 7. */
  readonly priority?: number
  /** 0x8100 by default; 0x88a8 is that of an 802.1ad service tag. */
  readonly etherType?: number
}

export interface Extension {
  /** Its number in the header before. */
  readonly protocol: number
  readonly bytes: Uint8Array
}

export interface Fragment {
  /** Where in the packet its payload begins: bytes, a multiple of 8. */
  readonly offset: number
  readonly more: boolean
}

const IPV4 = 0x0800
const IPV6 = 0x86dd
const VLAN = 0x8100
const HOP_BY_HOP = 0
const FRAGMENT = 44

/** Writes all headers in front of `l4Bytes` bytes of `protocol`; returns where the IP header begins, and its version. */
export function writeHeaders(
  writer: ByteWriter,
  options: IpOptions,
  protocol: number,
  l4Bytes: number,
  fragment: Fragment | undefined,
): { ipOffset: number; ipVersion: 4 | 6 } {
  const { length } = addressOf(options.source)
  if (addressOf(options.destination).length !== length) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      'source and destination must be addresses of the same IP version.',
    )
  }
  const ipVersion = length === 4 ? 4 : 6
  writeEthernet(writer, options, ipVersion === 4 ? IPV4 : IPV6)
  const ipOffset = writer.length
  if (ipVersion === 4) writeIpv4(writer, options, protocol, l4Bytes, fragment)
  else writeIpv6(writer, options, protocol, l4Bytes, fragment)
  return { ipOffset, ipVersion }
}

function writeEthernet(writer: ByteWriter, options: IpOptions, version: number): void {
  writer.raw(macOf(options.destinationMac ?? '02:00:00:00:00:02'))
  writer.raw(macOf(options.sourceMac ?? '02:00:00:00:00:01'))
  for (const { id, priority = 0, etherType = VLAN } of options.vlans ?? []) {
    writer.field('etherType', 2, etherType)
    const tag = (checkInteger('priority', priority, 0, 7) << 13) | checkInteger('id', id, 0, 4095)
    writer.field('tag', 2, tag)
  }
  writer.field('etherType', 2, version)
}

function writeIpv4(
  writer: ByteWriter,
  options: IpOptions,
  protocol: number,
  l4Bytes: number,
  fragment: Fragment | undefined,
): void {
  const { ipv4Options = [] } = options
  const headerBytes = 20 + checkMultiple('ipv4Options.length', ipv4Options.length, 4, 40)
  const dontFragment = options.dontFragment === true ? 0x4000 : 0
  const more = fragment?.more === true ? 0x2000 : 0
  writer.field('version', 1, 0x40 | (headerBytes >> 2))
  writer.field('trafficClass', 1, options.trafficClass ?? 0)
  writer.field('IP length', 2, ipLength(headerBytes + l4Bytes, protocol))
  writer.field('identification', 2, options.identification ?? 0)
  writer.field('fragment', 2, dontFragment | more | (fragmentOffset(fragment) >> 3))
  writer.field('timeToLive', 1, options.timeToLive ?? 64)
  writer.field('protocol', 1, protocol)
  writer.field('checksum', 2, 0)
  writer.raw(addressOf(options.source))
  writer.raw(addressOf(options.destination))
  writer.raw(ipv4Options)
}

function writeIpv6(
  writer: ByteWriter,
  options: IpOptions,
  protocol: number,
  l4Bytes: number,
  fragment: Fragment | undefined,
): void {
  const extensions = [...(options.extensions ?? [])]
  if (fragment !== undefined) extensions.push(fragmentHeader(options, fragment))
  let length = l4Bytes
  for (const { bytes } of extensions) length += bytes.length
  if (protocol === IPPROTO_TCP && length > 0xffff && extensions[0]?.protocol !== HOP_BY_HOP) {
    length += 8
    extensions.unshift(jumboHeader(length))
  }
  const trafficClass = checkInteger('trafficClass', options.trafficClass ?? 0, 0, 255)
  const flowLabel = checkInteger('flowLabel', options.flowLabel ?? 0, 0, 0xf_ffff)
  writer.field('version', 4, ((6 << 28) | (trafficClass << 20) | flowLabel) >>> 0)
  writer.field('IP length', 2, ipLength(length, protocol))
  writer.field('protocol', 1, extensions[0]?.protocol ?? protocol)
  writer.field('timeToLive', 1, options.timeToLive ?? 64)
  writer.raw(addressOf(options.source))
  writer.raw(addressOf(options.destination))
  for (const [i, { bytes }] of extensions.entries()) {
    checkInteger('extension.bytes.length', bytes.length, 8, 2048)
    checkMultiple('extension.bytes.length', bytes.length, 8, 2048)
    writer.field('protocol', 1, extensions[i + 1]?.protocol ?? protocol)
    writer.raw(bytes.subarray(1))
  }
}

/** The hop-by-hop option for a length over 16 bits (RFC 2675, 2), as BIG TCP has it. */
function jumboHeader(length: number): Extension {
  const writer = new ByteWriter()
  writer.raw([0, 0, 0xc2, 4])
  writer.field('IP length', 4, length)
  return { protocol: HOP_BY_HOP, bytes: writer.take() }
}

/** RFC 8200, 4.5. */
function fragmentHeader(options: IpOptions, fragment: Fragment): Extension {
  const writer = new ByteWriter()
  writer.field('protocol', 2, 0)
  writer.field('fragment', 2, fragmentOffset(fragment) | (fragment.more ? 1 : 0))
  writer.field('identification', 4, options.identification ?? 0)
  return { protocol: FRAGMENT, bytes: writer.take() }
}

function fragmentOffset(fragment: Fragment | undefined): number {
  return checkMultiple('fragment.offset', fragment?.offset ?? 0, 8, 0xfff8)
}

/** What stands in the header for a length: 0 for TCP that is too long for it. */
function ipLength(bytes: number, protocol: number): number {
  return protocol === IPPROTO_TCP && bytes > 0xffff ? 0 : bytes
}

function addressOf(address: string | Uint8Array): Uint8Array {
  // Bytes take the way through text, which refuses other lengths.
  return parseAddress(typeof address === 'string' ? address : formatAddress(address))
}

function macOf(address: string | Uint8Array): Uint8Array {
  if (typeof address === 'string') return parseMac(address)
  if (address.length === 6) return address
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `A MAC address must have 6 bytes, not ${address.length}.`,
  )
}

function checkMultiple(name: string, value: number, of: number, max: number): number {
  checkInteger(name, value, 0, max)
  if (value % of === 0) return value
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `${name} must be a multiple of ${of}, not ${value}.`,
  )
}
