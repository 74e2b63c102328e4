/**
 * Checksums of whole frames: IPv4 header, TCP and UDP with their pseudo-headers (RFC 791, 9293,
 * 768, 8200 8.1). Runs for every packet: numbers in, numbers out, nothing allocated.
 */

import { FrameKind, type FrameLayout } from './frame-layout.ts'
import type { FrameMemory } from './frame-memory.ts'

/** What {@link verifyChecksums} finds. Integers, since one is compared for every frame. */
export const ChecksumResult = {
  /** Nothing wrong, but the payload is not proven: no TCP or UDP, UDP without checksum, a fragment, a cut frame. */
  none: 0,
  /** All are right: what the kernel calls CHECKSUM_UNNECESSARY. */
  ok: 1,
  bad: 2,
} as const

/** What the words of something whole add up to, its checksum among them. */
const ALL_ONES = 0xffff
const UDP = 17
const IPV4_CHECKSUM = 10
const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6

/** Checks every checksum of the frame at `frameOffset`, whose parsed headers are `layout`; returns a {@link ChecksumResult}. */
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
      return ChecksumResult.bad
    }
  }
  if (kind < FrameKind.tcp || isCut(layout)) return ChecksumResult.none
  const l4At = frameOffset + layout.l4Offset
  if (kind === FrameKind.udp) {
    const { bytes } = memory
    // The sender made none, which tunnels may do over IPv6 too (RFC 6935).
    if (bytes[l4At + UDP_CHECKSUM] === 0 && bytes[l4At + UDP_CHECKSUM + 1] === 0) {
      return ChecksumResult.none
    }
  }
  const sum = memory.sum(l4At, l4Bytes(layout), pseudoHeaderSum(memory, frameOffset, layout))
  return sum === ALL_ONES ? ChecksumResult.ok : ChecksumResult.bad
}

/**
 * Writes every checksum of the frame at `frameOffset`, whose parsed headers are `layout`, whatever
 * stood there: for transmission, and to complete partial ones. Returns false where that leaves a
 * payload without one: no TCP or UDP, a fragment, a cut frame.
 */
export function fillChecksums(
  memory: FrameMemory,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  const { kind } = layout
  if (kind < FrameKind.fragment) return false
  if (layout.ipVersion === 4) {
    const headerAt = frameOffset + layout.ipOffset
    write(memory, headerAt + IPV4_CHECKSUM, 0)
    const sum = memory.sum(headerAt, layout.l4Offset - layout.ipOffset)
    write(memory, headerAt + IPV4_CHECKSUM, ~sum)
  }
  if (kind < FrameKind.tcp || isCut(layout)) return false
  const l4At = frameOffset + layout.l4Offset
  const checksumAt = l4At + (layout.protocol === UDP ? UDP_CHECKSUM : TCP_CHECKSUM)
  write(memory, checksumAt, 0)
  const sum = memory.sum(l4At, l4Bytes(layout), pseudoHeaderSum(memory, frameOffset, layout))
  // A UDP checksum that comes out as 0 would mean that there is none (RFC 768).
  write(memory, checksumAt, layout.protocol === UDP && sum === ALL_ONES ? ALL_ONES : ~sum)
  return true
}

/**
 * Writes the sum of the pseudo-header where the TCP or UDP checksum belongs, as a host does that
 * leaves the rest to hardware (CHECKSUM_PARTIAL), and returns true; false when there is none.
 */
export function fillPartialChecksum(
  memory: FrameMemory,
  frameOffset: number,
  layout: FrameLayout,
): boolean {
  if (layout.kind < FrameKind.tcp) return false
  const field = layout.protocol === UDP ? UDP_CHECKSUM : TCP_CHECKSUM
  const sum = pseudoHeaderSum(memory, frameOffset, layout)
  write(memory, frameOffset + layout.l4Offset + field, sum)
  return true
}

/** The length is that of TCP or UDP with its header: RFC 9293, 3.1; RFC 768; RFC 8200, 8.1. */
function pseudoHeaderSum(memory: FrameMemory, frameOffset: number, layout: FrameLayout): number {
  // In both versions the destination address stands right behind the source address.
  return memory.sum(
    frameOffset + layout.sourceOffset,
    2 * layout.addressBytes,
    layout.protocol + l4Bytes(layout),
  )
}

function l4Bytes(layout: FrameLayout): number {
  return layout.headerLength - layout.l4Offset + layout.payloadLength
}

/** Whether payload is missing that the checksum covers. */
function isCut(layout: FrameLayout): boolean {
  return layout.headerLength + layout.payloadLength > layout.length
}

function write(memory: FrameMemory, at: number, value: number): void {
  memory.bytes[at] = value >> 8
  memory.bytes[at + 1] = value
}
