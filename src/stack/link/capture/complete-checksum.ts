/** Completion of partial checksums, as the hardware would have completed them. */

import { setUint16 } from '../../../wire/bytes.ts'
import { ALL_ONES } from '../../../wire/checksum.ts'
import { checksumOffset } from '../../../wire/frame-checksums.ts'
import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'
import type { LinkFrame } from '../link.ts'

/**
 * Completes the checksum of a copy of a frame. The field holds the sum of the pseudo-header, so the
 * checksum is the inverse of the sum over the whole segment, field included.
 *
 * @param layout of the frame.
 * @param at place of the frame in `copy`.
 * @returns false, with the copy unchanged, if the frame is neither TCP nor UDP, or if a part of its
 * segment is missing, such as payload in device memory.
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
  // RFC 768: 0 is no checksum, so a sum of 0 is sent as its other form.
  const checksum = sum === ALL_ONES && kind === FrameKind.udp ? ALL_ONES : ~sum
  setUint16(copy, at + l4Offset + checksumOffset(layout), checksum)
  return true
}
