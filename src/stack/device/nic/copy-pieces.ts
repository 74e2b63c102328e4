/** Copies a frame from where its sender has it to where its receiver wants it. */

import type { FramePieces, LinkFrame } from '../../link/link.ts'
import type { PostedBuffers } from '../../rings/rx-front-end.ts'
import type { DmaSpace } from '../dma-space.ts'

/**
 * Copies what follows the first `linear` bytes of a frame in pieces to posted buffers. Returns false, and may
 * have copied a part, if one of them is not mapped.
 *
 * Buffers that touch are filled as one: a call takes as long as the copy of 300 bytes.
 */
export function copyPieces(
  head: LinkFrame,
  pieces: FramePieces,
  linear: number,
  posted: PostedBuffers,
  dma: DmaSpace,
): boolean {
  // All in variables: loads of fields took longer than the rest.
  const { count: buffers, regions, offsets: toOffsets, lengths: toLengths } = posted
  const { count, memories, offsets, lengths } = pieces
  // The first source is what was copied of the frame. The others are the pieces.
  let memory = head.memory.bytes
  let from = head.offset + linear
  let fromEnd = head.offset + head.length
  let piece = 0
  for (let buffer = 0; buffer < buffers; ) {
    const region = regions[buffer] ?? -1
    let to = toOffsets[buffer] ?? 0
    let toEnd = to + (toLengths[buffer] ?? 0)
    while (++buffer < buffers && regions[buffer] === region && toOffsets[buffer] === toEnd) {
      toEnd += toLengths[buffer] ?? 0
    }
    const target = dma.holding(region, to, toEnd - to)
    if (target === undefined) return false
    while (to < toEnd) {
      if (from === fromEnd) {
        if (piece === count) return true
        memory = memories[piece] ?? memory
        from = offsets[piece] ?? 0
        fromEnd = from + (lengths[piece] ?? 0)
        piece++
      }
      const bytes = fromEnd - from < toEnd - to ? fromEnd - from : toEnd - to
      target.set(pieces.viewOf(memory, from, bytes), to)
      from += bytes
      to += bytes
    }
  }
  return true
}
