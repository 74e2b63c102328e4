/** Checksums that a sending host left to its hardware, as a capture made on that host shows them. */

import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'

/** Where in its header the checksum is. */
const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6

/**
 * Whether the frame at `offset` has a partial checksum (CHECKSUM_PARTIAL): its TCP or UDP checksum
 * field holds the sum of the pseudo-header, folded and not inverted, which is where the hardware
 * would have gone on. Capture files do not say it in any other way.
 *
 * A rule for frames as an offloading host sends or loops them. A complete checksum equals that sum
 * once in 65,536, namely where the segment's own sum is 0xffff; such a frame counts as verified
 * unseen. Costs the 12 or 36 bytes of the pseudo-header, whatever the frame's length.
 *
 * @param layout of this frame; fragments and anything but TCP and UDP have no partial checksum.
 */
export function hasPartialChecksum(
  bytes: Uint8Array,
  offset: number,
  layout: FrameLayout,
): boolean {
  const { kind } = layout
  if (kind !== FrameKind.tcp && kind !== FrameKind.udp) return false
  const l4 = offset + layout.l4Offset
  const field = word(bytes, l4 + (kind === FrameKind.tcp ? TCP_CHECKSUM : UDP_CHECKSUM))
  // None is what a UDP sender means by 0; no pseudo-header sums up to it.
  if (field === 0) return false
  return field === pseudoHeaderSum(bytes, offset, layout)
}

/** Folded and not inverted (RFC 9293, 3.1; RFC 8200, 8.1). The layout is of a TCP or UDP frame. */
export function pseudoHeaderSum(bytes: Uint8Array, offset: number, layout: FrameLayout): number {
  const segmentBytes = layout.headerLength - layout.l4Offset + layout.payloadLength
  let sum = layout.protocol + (segmentBytes & 0xffff) + (segmentBytes >>> 16)
  // The destination follows the source.
  const from = offset + layout.sourceOffset
  const to = from + 2 * layout.addressBytes
  for (let at = from; at < to; at += 2) sum += word(bytes, at)
  sum = (sum & 0xffff) + (sum >>> 16)
  return (sum & 0xffff) + (sum >>> 16)
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}
