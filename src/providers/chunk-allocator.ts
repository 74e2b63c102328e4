/**
 * Hands out chunks of one size from a scatter list and takes them back: the kernel's genpool, as
 * its dma-buf provider uses it. A chunk is a number, and never lies across two segments.
 */

import { ArgumentRangeError, ArgumentTypeError, checkInteger, HandleError } from '../errors.ts'
import type { DmaSegment } from './dma-address.ts'

/** DMA addresses are 31 bits, since descriptors carry them as signed 32-bit words. */
const DMA_END = 2 ** 31

export class ChunkAllocator {
  readonly chunkBytes: number
  /** Number of all chunks. They are numbered in the order of the list. */
  readonly chunks: number
  // The last chunk that came back goes out first: its memory is the likeliest to be in a cache.
  readonly #free: Int32Array
  #freeChunks: number
  readonly #out: Uint8Array
  readonly #regions: Int32Array
  readonly #offsets: Int32Array

  /**
   * Cuts `segments` into chunks of `chunkBytes`. Throws NETMEM_DMABUF_UNALIGNED unless the length of each
   * segment is a multiple of it. Otherwise a chunk at a segment's end would reach into another owner's
   * memory (CVE-2026-64124 in the kernel). Throws NETMEM_DMABUF_SEGMENTS for a list that is empty or has
   * a place twice, and NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE for numbers that are no DMA
   * address.
   */
  constructor(segments: readonly DmaSegment[], chunkBytes: number) {
    checkSegments(segments, chunkBytes)
    let chunks = 0
    for (const { bytes } of segments) chunks += bytes / chunkBytes
    this.chunkBytes = chunkBytes
    this.chunks = chunks
    this.#regions = new Int32Array(chunks)
    this.#offsets = new Int32Array(chunks)
    let chunk = 0
    for (const { address, bytes } of segments) {
      for (let at = 0; at < bytes; at += chunkBytes) {
        this.#regions[chunk] = address.region
        this.#offsets[chunk] = address.offset + at
        chunk++
      }
    }
    this.#out = new Uint8Array(chunks)
    this.#free = new Int32Array(chunks)
    for (let at = 0; at < chunks; at++) this.#free[at] = chunks - 1 - at
    this.#freeChunks = chunks
  }

  /** Chunks that are free. */
  get available(): number {
    return this.#freeChunks
  }

  /**
   * Takes a chunk, or returns −1 when no chunk is free. Before the first return, the lowest chunk comes
   * first.
   */
  alloc(): number {
    if (this.#freeChunks === 0) return -1
    const chunk = this.#free[--this.#freeChunks] ?? -1
    this.#out[chunk] = 1
    return chunk
  }

  /** Takes a chunk back. Throws NETMEM_DOUBLE_PUT unless the chunk is out. */
  free(chunk: number): void {
    if (this.#out[chunk] !== 1) {
      throw new HandleError(
        'NETMEM_DOUBLE_PUT',
        `Chunk ${chunk} is not out. Give each chunk back once.`,
      )
    }
    this.#out[chunk] = 0
    this.#free[this.#freeChunks++] = chunk
  }

  /** The region a chunk lies in, or −1 for a number without a chunk. */
  region(chunk: number): number {
    return this.#regions[chunk] ?? -1
  }

  /** Offset of a chunk in its region, in bytes, or −1 for a number without a chunk. */
  offset(chunk: number): number {
    return this.#offsets[chunk] ?? -1
  }
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
