/** A part of a scatter list. */

import type { DmaSegment } from '../../../providers/dma-address.ts'

/** The segments of `bytes` bytes after the first `from`; fewer where the list ends before. */
export function sliceSegments(
  segments: readonly DmaSegment[],
  from: number,
  bytes: number,
): DmaSegment[] {
  const slice: DmaSegment[] = []
  let start = 0
  for (const { address, bytes: length } of segments) {
    const first = Math.max(start, from)
    const end = Math.min(start + length, from + bytes)
    if (first < end) {
      const { region, offset } = address
      slice.push({ address: { region, offset: offset + first - start }, bytes: end - first })
    }
    start += length
  }
  return slice
}
