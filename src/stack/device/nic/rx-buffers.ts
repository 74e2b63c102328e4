/**
 * Memory that a frame is received into: its header buffer, and as many posted buffers as its
 * payload takes.
 *
 * All of it is found before any of it is taken, so that a frame is delivered whole or dropped
 * whole.
 */

import type { FramePieces, LinkFrame } from '../../link/link.ts'
import { type PostedBuffer, PostedBuffers, type RxFrontEnd } from '../../rings/rx-front-end.ts'
import { SHORT_COPY_BYTES, ShortCopy } from '../../rings/short-copy.ts'
import type { DmaSpace } from '../dma-space.ts'
import { copyPieces } from './copy-pieces.ts'

/** Results of {@link RxBuffers.find}. Integers, since one is compared for every frame. */
const FOUND = 0
/** Too few buffers are posted, or too few completions are free: waiting helps. */
export const OUT_OF_BUFFER = 1
/**
 * A buffer is not in memory that is mapped for the device: the last one of those found. There is
 * none if the header buffer is at fault, and nothing is posted.
 */
export const BUFFER_FAULT = 2

/** Smaller payloads copy in no time, however they are aligned. */
const ALIGNED_BYTES = 512
const WORD_BYTES = 8

/** A buffer of the packet, and the memory that it is in. */
class RxBuffer implements PostedBuffer {
  id = -1
  region = -1
  offset = 0
  bytes = 0
  memory: Uint8Array | undefined
  /** Bytes skipped at its beginning, for an aligned copy. */
  pad = 0
  /** Bytes behind them that the packet has been written to. */
  written = 0
}

export class RxBuffers {
  readonly header: RxBuffer = new RxBuffer()
  /** Buffers that {@link fill} has filled. */
  readonly posted: PostedBuffers = new PostedBuffers()
  /** Buffers of the packet: those that {@link find} and {@link findMore} found. */
  count = 0
  /**
   * Reused for every packet. The array grows to the largest number of buffers that a packet has
   * needed.
   */
  readonly #buffers: RxBuffer[] = [new RxBuffer()]
  readonly #next = new RxBuffer()
  readonly #dma: DmaSpace
  readonly #shortCopy = new ShortCopy()

  constructor(dma: DmaSpace) {
    this.#dma = dma
  }

  /** Returns one of the packet's buffers. */
  at(index: number): RxBuffer | undefined {
    return this.#buffers[index]
  }

  /**
   * Finds memory for a new packet: for `linear` bytes in the header buffer, and for `rest` bytes in
   * posted buffers.
   */
  find(ring: RxFrontEnd, frame: LinkFrame, linear: number, rest: number): number {
    const { header } = this
    const leastBuffers = ring.everyPacketTakesABuffer ? 1 : 0
    let isFault = false
    if (linear > 0) {
      header.memory = this.#dma.holding(header.region, header.offset, header.bytes)
      isFault = header.memory === undefined
    }
    let count = 0
    let left = rest
    while (left > 0 || count < leastBuffers) {
      const buffer = this.#peek(ring, count, count)
      if (buffer === undefined) {
        if (isFault && leastBuffers === 0) break
        if (left <= 0 || !this.#fitsUnpadded(left)) return OUT_OF_BUFFER
        break
      }
      count++
      if (isFault || buffer.memory === undefined) {
        isFault = true
        break
      }
      if (count === 1 && !ring.noOffset && rest >= ALIGNED_BYTES && buffer.bytes > ALIGNED_BYTES) {
        const { bytes } = frame.memory
        buffer.pad = padding(buffer.memory, buffer.offset, bytes, frame.offset + linear)
      }
      left -= buffer.bytes - buffer.pad
    }
    if (ring.room() < (count === 0 ? 1 : count)) return OUT_OF_BUFFER
    this.count = count
    return isFault ? BUFFER_FAULT : FOUND
  }

  /**
   * Finds further posted buffers of the packet, for the last `bytes` bytes of a frame. Returns false,
   * with nothing found, if one of them is missing or not mapped, or if the packet would have more than
   * `most`.
   */
  findMore(ring: RxFrontEnd, frame: LinkFrame, bytes: number, most: number): boolean {
    const held = this.count
    let count = held
    for (let left = bytes; left > 0; count++) {
      if (count === most) return false
      const buffer = this.#peek(ring, count - held, count)
      if (buffer?.memory === undefined) return false
      // A short part is padded too: the segments behind it stay aligned as it is.
      if (!ring.noOffset && buffer.bytes > ALIGNED_BYTES) {
        const from = frame.offset + frame.length - left
        buffer.pad = padding(buffer.memory, buffer.offset, frame.memory.bytes, from)
      }
      left -= buffer.bytes - buffer.pad
    }
    if (ring.room() < count) return false
    this.count = count
    return true
  }

  /** Payload bytes that `buffers` buffers like the next one have room for. 0 without a next one. */
  roomOf(ring: RxFrontEnd, buffers: number): number {
    if (!ring.peek(0, this.#next)) return 0
    return buffers * this.#next.bytes - (ring.noOffset ? 0 : WORD_BYTES)
  }

  /** Copies the first `linear` bytes of a frame to the header buffer. */
  writeHeaders(frame: LinkFrame, linear: number): void {
    const { memory, offset } = this.header
    if (memory === undefined) return
    if (linear > SHORT_COPY_BYTES) copyFromFrame(frame, frame.offset, linear, memory, offset)
    else this.#shortCopy.copy(frame.memory.bytes, frame.offset, linear, memory, offset)
  }

  /**
   * Writes the headers of the packet again.
   *
   * @param isSplit true if they are in the header buffer. Otherwise they are in the first buffer.
   */
  rewriteHeaders(headers: Uint8Array, length: number, isSplit: boolean): void {
    const buffer = isSplit ? this.header : this.#buffers[0]
    if (buffer?.memory === undefined) return
    this.#shortCopy.copy(headers, 0, length, buffer.memory, buffer.offset + buffer.pad)
  }

  /** Copies `rest` bytes from `from` on to the buffers of the packet behind the first `held`. */
  writePayload(frame: LinkFrame, from: number, rest: number, held: number): void {
    let at = from
    let left = rest
    for (let index = held; index < this.count; index++) {
      const buffer = this.#buffers[index]
      if (buffer?.memory === undefined) return
      const room = buffer.bytes - buffer.pad
      const bytes = left < room ? left : room
      copyFromFrame(frame, at, bytes, buffer.memory, buffer.offset + buffer.pad)
      buffer.written = bytes
      at += bytes
      left -= bytes
    }
  }

  /** Copies bytes to the last buffer, behind those written. Returns false if it has no room for them. */
  extend(frame: LinkFrame, from: number, bytes: number): boolean {
    const last = this.#buffers[this.count - 1]
    if (last?.memory === undefined) return false
    const at = last.pad + last.written
    if (at + bytes > last.bytes) return false
    copyFromFrame(frame, from, bytes, last.memory, last.offset + at)
    last.written += bytes
    return true
  }

  /**
   * Copies the last `rest` bytes of a frame in pieces to posted buffers, which are not padded. Returns
   * false, with no buffer taken, if one is missing or not mapped.
   *
   * @param linear bytes of `head` that are not among them. They go to the header buffer.
   */
  fill(
    ring: RxFrontEnd,
    head: LinkFrame,
    pieces: FramePieces,
    linear: number,
    rest: number,
  ): boolean {
    const { header, posted } = this
    header.memory = this.#dma.holding(header.region, header.offset, header.bytes)
    if (linear > 0 && header.memory === undefined) return false
    if (ring.peekAll?.(rest, posted) !== true || ring.room() < posted.count) return false
    return copyPieces(head, pieces, linear, posted, this.#dma)
  }

  /** Drops all references to memory. */
  forget(): void {
    for (const buffer of this.#buffers) buffer.memory = undefined
    this.header.memory = undefined
    this.#shortCopy.forget()
  }

  /**
   * Returns a posted buffer as the packet's buffer `index`, without memory if it is not mapped.
   * `undefined` if it is not posted.
   */
  #peek(ring: RxFrontEnd, ahead: number, index: number): RxBuffer | undefined {
    const buffer = this.#buffers[index] ?? new RxBuffer()
    this.#buffers[index] = buffer
    if (!ring.peek(ahead, buffer)) return undefined
    const { region, offset, bytes } = buffer
    buffer.memory = bytes === 0 ? undefined : this.#dma.holding(region, offset, bytes)
    buffer.pad = 0
    return buffer
  }

  /** Removes the first buffer's pad if the frame fits then: a slow copy is better than a lost frame. */
  #fitsUnpadded(left: number): boolean {
    const first = this.#buffers[0]
    if (first === undefined || left > first.pad) return false
    first.pad = 0
    return true
  }
}

/** Copies bytes of a frame. Its memory keeps its views: a new view for each frame would be garbage. */
function copyFromFrame(
  { memory }: LinkFrame,
  from: number,
  bytes: number,
  to: Uint8Array,
  toOffset: number,
): void {
  to.set(memory.view(from, bytes), toOffset)
}

/**
 * Returns the bytes to skip in a buffer so that source and destination lie alike within a word.
 * Engines copy to shared memory by words where they can, and by bytes otherwise: 11 against 3 GB/s.
 * Hardware pads its buffers for the same reason.
 */
function padding(memory: Uint8Array, to: number, source: Uint8Array, from: number): number {
  if (!(memory.buffer instanceof SharedArrayBuffer)) return 0
  return (source.byteOffset + from - memory.byteOffset - to) & (WORD_BYTES - 1)
}
