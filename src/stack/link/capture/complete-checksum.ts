/** What the hardware would have done to a partial checksum. */

import { setUint16 } from '../../../wire/bytes.ts'
import { ALL_ONES } from '../../../wire/checksum.ts'
import { checksumOffset } from '../../../wire/frame-checksums.ts'
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
  // RFC 768: 0 is no checksum, so a sum of 0 is sent as its other form.
  const checksum = sum === ALL_ONES && kind === FrameKind.udp ? ALL_ONES : ~sum
  setUint16(copy, at + l4Offset + checksumOffset(layout), checksum)
  return true
}
