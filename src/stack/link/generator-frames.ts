/** Frames of a generator: TCP segments with sequence number 0, and the data in them. */

import { Random } from '../../random.ts'
import { parseAddress, parseMac } from '../../wire/address.ts'
import { setUint16 } from '../../wire/bytes.ts'
import { pseudoHeaderSum } from '../../wire/checksum.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from '../../wire/ethernet.ts'
import type { FrameMemory } from '../../wire/frame-memory.ts'
import { IPPROTO_TCP, IpHeader } from '../../wire/ip.ts'
import { writeIpv4 } from '../../wire/ipv4.ts'
import { writeIpv6 } from '../../wire/ipv6.ts'
import { ACK, TCP_CHECKSUM, TCP_HEADER_BYTES, writeTcp } from '../../wire/tcp.ts'

/** Bytes of Ethernet, IP and TCP headers without options. */
export const HEADER_OF: { readonly 4: number; readonly 6: number } = { 4: 54, 6: 74 }

const SOURCE_MAC = parseMac('02:00:00:00:00:01')
const DESTINATION_MAC = parseMac('02:00:00:00:00:02')
const ENDS = {
  4: {
    etherType: ETHERTYPE_IPV4,
    source: parseAddress('10.0.0.1'),
    destination: parseAddress('10.0.0.2'),
  },
  6: {
    etherType: ETHERTYPE_IPV6,
    source: parseAddress('fd00::1'),
    destination: parseAddress('fd00::2'),
  },
} as const
/** Header of the frame that is being written. */
const header = new IpHeader()

/** Returns the memory that a frame with `mssBytes` bytes of payload gets: whole cache lines. */
export function frameBytes(ipVersion: 4 | 6, mssBytes: number): number {
  return (HEADER_OF[ipVersion] + mssBytes + 63) & -64
}

/** Returns the first `bytes` of the payload of a flow, whose stream repeats them if `bytes` is its period. */
export function streamPattern(seed: number, flow: number, bytes: number): Uint8Array {
  const pattern = new Uint8Array(bytes)
  // Far apart in the seed's sequence, so that flows have nothing in common.
  const random = new Random((seed + Math.imul(flow, 0x3c6ef35f)) >>> 0)
  for (let at = 0; at < bytes; at += 4) {
    const word = random.next()
    pattern[at] = word
    pattern[at + 1] = word >>> 8
    pattern[at + 2] = word >>> 16
    pattern[at + 3] = word >>> 24
  }
  return pattern
}

/**
 * Writes a frame at `offset`, with sequence number 0. Its checksum is the sum of the pseudo-header if
 * it is `partial`, and else 0.
 *
 * @returns the sum of the segment and its pseudo-header, folded and not inverted.
 */
export function prepareFrame(
  memory: FrameMemory,
  offset: number,
  ipVersion: 4 | 6,
  segment: {
    readonly sourcePort: number
    readonly destinationPort: number
    readonly flags: number
    readonly payload: Uint8Array
    readonly checksum: 'complete' | 'partial'
  },
): number {
  const { bytes } = memory
  const { sourcePort, destinationPort, flags: tcpFlags, payload } = segment
  const { etherType, source, destination } = ENDS[ipVersion]
  const segmentBytes = TCP_HEADER_BYTES + payload.length
  const ip = offset + writeEthernet(bytes, offset, DESTINATION_MAC, SOURCE_MAC, etherType)
  const l4 = offset + HEADER_OF[ipVersion] - TCP_HEADER_BYTES
  header.protocol = IPPROTO_TCP
  header.packetBytes = l4 - ip + segmentBytes
  // A packet that is not to be fragmented needs no id (RFC 6864, 4.1).
  header.dontFragment = true
  if (ipVersion === 4) writeIpv4(bytes, ip, header, source, destination)
  else writeIpv6(bytes, ip, header, source, destination)
  // A SYN acknowledges nothing.
  const ack = (tcpFlags & ACK) === 0 ? 0 : 1
  const fields = { sourcePort, destinationPort, seq: 0, ack, tcpFlags }
  writeTcp(bytes, l4, { ...fields, window: 0xffff, urgentPointer: 0 })
  bytes.set(payload, l4 + TCP_HEADER_BYTES)
  const addressBytes = source.length
  const addressesAt = l4 - 2 * addressBytes
  const pseudoHeader = pseudoHeaderSum(bytes, addressesAt, addressBytes, IPPROTO_TCP, segmentBytes)
  const sum = memory.sum(l4, segmentBytes, pseudoHeader)
  if (segment.checksum === 'partial') setUint16(bytes, l4 + TCP_CHECKSUM, pseudoHeader)
  return sum
}
