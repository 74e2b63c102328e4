/**
 * A file seen through a window of memory, front to back. Frames are handed out where they lie in
 * it. The window has two halves, so that one frame stays in place while what follows it is read:
 * into the other half, with the part of a record that had been read already copied to its front.
 */

import type { FrameMemory } from '../../../wire/frame-memory.ts'

/** Where a capture's bytes come from: a file, or a test. */
export interface CaptureSource {
  /** Reads up to `length` bytes to `offset` of `into`; how many, 0 at the end. */
  read(into: Uint8Array, offset: number, length: number): number
  close(): void
}

/** Reads at most so much at once, so that it is still in the processor's cache when it is used. */
const READ_BYTES = 256 * 1024

export class CaptureWindow {
  readonly memory: FrameMemory
  readonly bytes: Uint8Array
  /** Where in the window reading has come to. */
  at = 0
  readonly #source: CaptureSource
  readonly #halfBytes: number
  /** The end of what is in the window. */
  #end = 0
  /** The half with `at` in it, 0 or 1, and the one that may not be written. */
  #half = 0
  #kept = -1
  /** Bytes of the file before the window's byte 0, were it all in a piece; negative in the second half at first. */
  #fileBase = 0
  #sourceEnded = false

  constructor(source: CaptureSource, memory: FrameMemory) {
    this.#source = source
    this.memory = memory
    this.bytes = memory.bytes
    this.#halfBytes = this.bytes.length >>> 1
  }

  /** Bytes that can be asked for in one piece. */
  get largestPiece(): number {
    return this.#halfBytes
  }

  /** Where in the file `at` is. */
  get fileOffset(): number {
    return this.#fileBase + this.at
  }

  /** Whether nothing follows. */
  get atEnd(): boolean {
    return !this.has(1)
  }

  /** Makes the next `bytes`, {@link largestPiece} at most, be in the window; false where the file ends before. */
  has(bytes: number): boolean {
    return this.#end - this.at >= bytes || this.#fill(bytes)
  }

  /** Passes over `bytes`, any number; false where the file ends before. */
  skip(bytes: number): boolean {
    for (let left = bytes; left > 0; ) {
      if (!this.has(1)) return false
      const step = Math.min(left, this.#end - this.at)
      this.at += step
      left -= step
    }
    return true
  }

  /** Keeps what is in the present half until the next call: the other half is read into meanwhile. */
  keep(): void {
    this.#kept = this.#half
  }

  close(): void {
    this.#source.close()
  }

  /** Reads on until `bytes` are there from `at` on. */
  #fill(bytes: number): boolean {
    const { bytes: memory } = this
    if (this.#sourceEnded) return false
    const halfEnd = (this.#half + 1) * this.#halfBytes
    if (this.at + bytes > halfEnd || this.at === halfEnd) {
      const half = this.#kept === this.#half ? 1 - this.#half : this.#half
      const start = half * this.#halfBytes
      memory.copyWithin(start, this.at, this.#end)
      this.#fileBase += this.at - start
      this.#end += start - this.at
      this.at = start
      this.#half = half
    }
    const limit = (this.#half + 1) * this.#halfBytes
    while (this.#end - this.at < bytes) {
      const length = Math.min(READ_BYTES, limit - this.#end)
      const read = this.#source.read(memory, this.#end, length)
      if (read === 0) {
        this.#sourceEnded = true
        return false
      }
      this.#end += read
    }
    return true
  }
}
