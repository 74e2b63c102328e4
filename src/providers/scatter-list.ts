/**
 * Cuts a scatter list into chunks of one size, as the kernel's dma-buf provider does for its genpool.
 * A chunk never lies across two segments.
 */

import { ArgumentRangeError, ArgumentTypeError, checkInteger } from '../errors.ts'
import type { DmaSegment } from './dma-address.ts'

/** DMA addresses are 31 bits, since descriptors carry them as signed 32-bit words. */
const DMA_END = 2 ** 31

/**
 * Returns regions and offsets of all chunks of `chunkBytes`, in the order of the list. Throws
 * NETMEM_DMABUF_UNALIGNED unless the length of each segment is a multiple of it. Otherwise a chunk at a
 * segment's end would reach into another owner's memory (CVE-2026-64124 in the kernel). Throws
 * NETMEM_DMABUF_SEGMENTS for a list that is empty or has a place twice, and NETMEM_INVALID_ARGUMENT or
 * NETMEM_OUT_OF_RANGE for numbers that are no DMA address.
 */
export function cutIntoChunks(
  segments: readonly DmaSegment[],
  chunkBytes: number,
): { readonly regions: number[]; readonly offsets: number[] } {
  checkSegments(segments, chunkBytes)
  const regions: number[] = []
  const offsets: number[] = []
  for (const { address, bytes } of segments) {
    for (let at = 0; at < bytes; at += chunkBytes) {
      regions.push(address.region)
      offsets.push(address.offset + at)
    }
  }
  return { regions, offsets }
}

function checkSegments(segments: readonly DmaSegment[], chunkBytes: number): void {
  if (!Array.isArray(segments)) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `A scatter list is an array of segments, not ${typeof segments}.`,
    )
  }
  if (segments.length === 0) {
    throw new ArgumentRangeError(
      'NETMEM_DMABUF_SEGMENTS',
      'A scatter list has one segment or more.',
    )
  }
  for (const [at, segment] of segments.entries()) {
    checkInteger(`region of segment ${at}`, segment?.address?.region, 0, DMA_END - 1)
    const offset = checkInteger(`offset of segment ${at}`, segment.address.offset, 0, DMA_END - 1)
    const bytes = checkInteger(`bytes of segment ${at}`, segment.bytes, 1, DMA_END - offset)
    if (bytes % chunkBytes === 0) continue
    throw new ArgumentRangeError(
      'NETMEM_DMABUF_UNALIGNED',
      `Segment ${at} of the scatter list has ${bytes} bytes, which is no multiple of ${chunkBytes}. Take a smaller page size, or export the dma-buf in segments of whole pages.`,
    )
  }
  const ordered = segments.toSorted(
    ({ address: a }, { address: b }) => a.region - b.region || a.offset - b.offset,
  )
  let before: DmaSegment | undefined
  for (const segment of ordered) {
    if (
      before !== undefined &&
      before.address.region === segment.address.region &&
      before.address.offset + before.bytes > segment.address.offset
    ) {
      throw new ArgumentRangeError(
        'NETMEM_DMABUF_SEGMENTS',
        `Two segments of the scatter list share memory at offset ${segment.address.offset} of region ${segment.address.region}. Each byte may be in it once.`,
      )
    }
    before = segment
  }
}
