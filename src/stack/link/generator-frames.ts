/** The frames of a generator: TCP segments with sequence number 0, and the data in them. */

import { Random } from '../../random.ts'
import { setUint16 } from '../../wire/bytes.ts'
import { pseudoHeaderSum } from '../../wire/checksum.ts'
import type { FrameMemory } from '../../wire/frame-memory.ts'
import { IPPROTO_TCP } from '../../wire/ip.ts'
import { ACK, TCP_CHECKSUM } from '../../wire/tcp.ts'

/** Ethernet, IP and TCP headers, without options. */
export const HEADER_OF: { readonly 4: number; readonly 6: number } = { 4: 54, 6: 74 }

/** Memory that a frame with `mss` bytes of payload is given: whole cache lines. */
export function frameBytes(ipVersion: 4 | 6, mss: number): number {
  return (HEADER_OF[ipVersion] + mss + 63) & -64
}

/** The first `bytes` of what a flow of a generator carries; its stream repeats them when `bytes` is its period. */
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
 * Writes a frame at `offset`, with sequence number 0. Its checksum is the sum of the pseudo-header
 * if `partial`, and else 0.
 *
 * @returns the sum of the segment and its pseudo-header, folded and not inverted.
 */
export function prepareFrame(
  memory: FrameMemory,
  offset: number,
  frame: {
    readonly ipVersion: 4 | 6
    readonly sourcePort: number
    readonly destinationPort: number
    readonly flags: number
    readonly payload: Uint8Array
    readonly partial: boolean
  },
): number {
  const { bytes } = memory
  const { ipVersion, payload } = frame
  const header = HEADER_OF[ipVersion]
  const l4 = offset + header - 20
  const segmentBytes = 20 + payload.length
  bytes.fill(0, offset, offset + header)
  // Locally administered addresses: 02:00:00:00:00:02 from 02:00:00:00:00:01.
  bytes[offset] = 2
  bytes[offset + 5] = 2
  bytes[offset + 6] = 2
  bytes[offset + 11] = 1
  const ip = offset + 14
  if (ipVersion === 4) writeIpv4(memory, ip, segmentBytes)
  else writeIpv6(bytes, ip, segmentBytes)

  setUint16(bytes, l4, frame.sourcePort)
  setUint16(bytes, l4 + 2, frame.destinationPort)
  // A SYN acknowledges nothing.
  setUint16(bytes, l4 + 10, (frame.flags & ACK) === 0 ? 0 : 1)
  bytes[l4 + 12] = 0x50
  bytes[l4 + 13] = frame.flags
  setUint16(bytes, l4 + 14, 0xffff)
  bytes.set(payload, l4 + 20)
  const addressBytes = ipVersion === 4 ? 4 : 16
  const addressesAt = l4 - 2 * addressBytes
  const pseudoHeader = pseudoHeaderSum(bytes, addressesAt, addressBytes, IPPROTO_TCP, segmentBytes)
  const sum = memory.sum(l4, segmentBytes, pseudoHeader)
  if (frame.partial) setUint16(bytes, l4 + TCP_CHECKSUM, pseudoHeader)
  return sum
}

/** 10.0.0.1 to 10.0.0.2, not to be fragmented: then its id may be 0 (RFC 6864, 4.1). */
function writeIpv4(memory: FrameMemory, ip: number, segmentBytes: number): void {
  const { bytes } = memory
  setUint16(bytes, ip - 2, 0x0800)
  bytes[ip] = 0x45
  setUint16(bytes, ip + 2, 20 + segmentBytes)
  bytes[ip + 6] = 0x40
  bytes[ip + 8] = 64
  bytes[ip + 9] = IPPROTO_TCP
  bytes[ip + 12] = 10
  bytes[ip + 15] = 1
  bytes[ip + 16] = 10
  bytes[ip + 19] = 2
  setUint16(bytes, ip + 10, ~memory.sum(ip, 20))
}

/** fd00::1 to fd00::2. */
function writeIpv6(bytes: Uint8Array, ip: number, segmentBytes: number): void {
  setUint16(bytes, ip - 2, 0x86dd)
  bytes[ip] = 0x60
  setUint16(bytes, ip + 4, segmentBytes)
  bytes[ip + 6] = IPPROTO_TCP
  bytes[ip + 7] = 64
  bytes[ip + 8] = 0xfd
  bytes[ip + 23] = 1
  bytes[ip + 24] = 0xfd
  bytes[ip + 39] = 2
}
