/** What the hardware would have done to a partial checksum. */

import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'
import type { LinkFrame } from '../link.ts'

/**
 * Completes the checksum of a copy of a frame, which begins at `at` of `copy`: the field holds the
 * pseudo-header's sum, so the sum of all of the segment, the field included, is what is inverted.
 *
 * @param layout of the frame.
 * @returns false, with the copy as it was, when that cannot be done: it is neither TCP nor UDP, or
 * not all of its segment is there, as payload that the host cannot read.
 */
export function completeChecksum(
  frame: LinkFrame,
  layout: FrameLayout,
  copy: Uint8Array,
  at: number,
): boolean {
  const { kind, l4Offset } = layout
  if (kind !== FrameKind.tcp && kind !== FrameKind.udp) return false
  const segmentBytes = layout.headerLength - l4Offset + layout.payloadLength
  if (l4Offset + segmentBytes > frame.length) return false
  const sum = frame.memory.sum(frame.offset + l4Offset, segmentBytes)
  let checksum = ~sum & 0xffff
  // RFC 768: 0 is no checksum, so a sum of 0 is sent as its other form.
  if (checksum === 0 && kind === FrameKind.udp) checksum = 0xffff
  const field = at + l4Offset + (kind === FrameKind.tcp ? 16 : 6)
  copy[field] = checksum >> 8
  copy[field + 1] = checksum
  return true
}
