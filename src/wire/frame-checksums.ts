/**
 * Checksums of whole frames: IPv4 header, TCP and UDP (RFC 791, 9293, 768, 8200 8.1). Runs for every
 * packet: takes and returns numbers, and allocates nothing.
 */

import { getUint16, setUint16 } from './bytes.ts'
import { ALL_ONES, pseudoHeaderSum } from './checksum.ts'
import { FrameKind, type FrameLayout } from './frame-layout.ts'
import type { FrameMemory } from './frame-memory.ts'
import { IPV4_CHECKSUM } from './ipv4.ts'
import { TCP_CHECKSUM } from './tcp.ts'
import { UDP_CHECKSUM } from './udp.ts'

/** Results of {@link verifyChecksums}. Integers, since one is compared for every frame. */
export const ChecksumResult = {
  /**
   * No checksum is wrong, and no checksum covers the payload: other protocols than TCP and UDP, UDP
   * without checksum, fragments, cut frames.
   */
  none: 0,
  /** All checksums are right (CHECKSUM_UNNECESSARY). */
  ok: 1,
  /** The checksum of the IPv4 header is wrong. The checksum of TCP or UDP was not verified. */
  badIp: 2,
  /** The checksum of TCP or UDP is wrong. */
  badL4: 3,
} as const

/**
 * Verifies all checksums of the frame at `frameOffset`.
 *
 * @param layout parsed headers of the frame.
 * @returns a value of {@link ChecksumResult}.
 */
export function verifyChecksums(
  memory: FrameMemory,
  frameOffset: number,
  layout: FrameLayout,
): number {
  const { kind } = layout
  if (kind < FrameKind.fragment) return ChecksumResult.none
  if (layout.ipVersion === 4) {
    const headerBytes = layout.l4Offset - layout.ipOffset
    if (memory.sum(frameOffset + layout.ipOffset, headerBytes) !== ALL_ONES) {
      return ChecksumResult.badIp
    }
  }
  if (kind < FrameKind.tcp || isCut(layout)) return ChecksumResult.none
  const l4At = frameOffset + layout.l4Offset
  // The sender made no checksum. Tunnels may do so over IPv6, too (RFC 6935).
  if (kind === FrameKind.udp && getUint16(memory.bytes, l4At + UDP_CHECKSUM) === 0) {
    return ChecksumResult.none
  }
  return l4Sum(memory, frameOffset, layout) === ALL_ONES ? ChecksumResult.ok : ChecksumResult.badL4
}

/**
 * Writes all checksums of the frame at `frameOffset` in the place of what is there, for transmission
 * and to complete partial ones.
 *
 * @param layout parsed headers of the frame.
 * @returns false if no checksum covers the payload: no TCP or UDP, a fragment, a cut frame.
 */
export function fillChecksums(
  memory: FrameMemory,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  fillIpChecksum(memory, frameOffset, layout)
  return fillL4Checksum(memory, frameOffset, layout)
}

/** @internal Writes the checksum of TCP or UDP alone. Returns as {@link fillChecksums}. */
export function fillL4Checksum(
  memory: FrameMemory,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  const { kind } = layout
  if (kind < FrameKind.tcp || isCut(layout)) return false
  const checksumAt = frameOffset + layout.l4Offset + checksumOffset(layout)
  setUint16(memory.bytes, checksumAt, 0)
  const sum = l4Sum(memory, frameOffset, layout)
  // A UDP checksum of 0 would mean that there is no checksum (RFC 768).
  setUint16(memory.bytes, checksumAt, kind === FrameKind.udp && sum === ALL_ONES ? ALL_ONES : ~sum)
  return true
}

/** Writes the checksum of the IPv4 header. Leaves other frames as they are. */
export function fillIpChecksum(
  memory: FrameMemory,
  frameOffset: number,
  layout: FrameLayout,
): void {
  if (layout.ipVersion !== 4 || layout.kind < FrameKind.fragment) return
  const { bytes } = memory
  const headerAt = frameOffset + layout.ipOffset
  setUint16(bytes, headerAt + IPV4_CHECKSUM, 0)
  const sum = memory.sum(headerAt, layout.l4Offset - layout.ipOffset)
  setUint16(bytes, headerAt + IPV4_CHECKSUM, ~sum)
}

/**
 * Writes the sum of the pseudo-header in the place of the TCP or UDP checksum. A host does so when it
 * leaves the rest to its hardware (CHECKSUM_PARTIAL).
 *
 * @returns false if the frame has no such checksum.
 */
export function fillPartialChecksum(
  memory: FrameMemory,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  if (layout.kind < FrameKind.tcp) return false
  const { bytes } = memory
  const checksumAt = frameOffset + layout.l4Offset + checksumOffset(layout)
  setUint16(bytes, checksumAt, pseudoHeaderOf(bytes, frameOffset, layout))
  return true
}

/**
 * Returns true if the frame has a partial checksum (CHECKSUM_PARTIAL). Its TCP or UDP checksum field then
 * holds the sum of the pseudo-header, and the sender's hardware would add the rest. Capture files have no
 * other mark of it.
 *
 * This is a rule for frames as an offloading host sends or loops them. One complete checksum in
 * 65,536 equals that sum too, where the sum of the segment is 0xffff. Such a frame counts as verified.
 */
export function hasPartialChecksum(
  bytes: Uint8Array,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  if (layout.kind < FrameKind.tcp) return false
  const field = getUint16(bytes, frameOffset + layout.l4Offset + checksumOffset(layout))
  // 0 is a UDP datagram without checksum. No pseudo-header has that sum.
  return field !== 0 && field === pseudoHeaderOf(bytes, frameOffset, layout)
}

/** Returns the place of the checksum in the TCP or UDP header of a frame. */
export function checksumOffset(layout: FrameLayout): number {
  return layout.kind === FrameKind.udp ? UDP_CHECKSUM : TCP_CHECKSUM
}

/** Returns the sum over the TCP or UDP part of a frame and its pseudo-header, checksum included. */
function l4Sum(memory: FrameMemory, frameOffset: number, layout: FrameLayout): number {
  const { l4Offset, destinationOffset, addressBytes } = layout
  const length = l4Bytes(layout)
  if (l4Offset === destinationOffset + addressBytes) {
    // One sum covers both where the addresses stand in front, without IP options.
    const addressesAt = frameOffset + layout.sourceOffset
    return memory.sum(addressesAt, 2 * addressBytes + length, layout.protocol + length)
  }
  const pseudoHeader = pseudoHeaderOf(memory.bytes, frameOffset, layout)
  return memory.sum(frameOffset + l4Offset, length, pseudoHeader)
}

function pseudoHeaderOf(bytes: Uint8Array, frameOffset: number, layout: FrameLayout): number {
  const { sourceOffset, addressBytes, protocol } = layout
  return pseudoHeaderSum(bytes, frameOffset + sourceOffset, addressBytes, protocol, l4Bytes(layout))
}

function l4Bytes(layout: FrameLayout): number {
  return layout.headerLength - layout.l4Offset + layout.payloadLength
}

/** True if payload is missing that the checksum covers. */
function isCut(layout: FrameLayout): boolean {
  return layout.headerLength + layout.payloadLength > layout.length
}
