/**
 * A window of memory that a file is read through, front to back. Frames are handed out where they
 * lie in it.
 *
 * The window has two halves, so that one frame stays in place while the bytes behind it are read.
 * They are read into the other half, after the part of a record that had been read already.
 */

import type { FrameMemory } from '../../../wire/frame-memory.ts'
import { captureError } from './capture-error.ts'
import { CUT_OFF, MAX_CAPTURED_BYTES } from './packet-reader.ts'

/** Source of a capture's bytes: a file, or a test. */
export interface CaptureSource {
  /** Reads up to `length` bytes to `offset` of `into`. Returns their number, 0 at the end. */
  read(into: Uint8Array, offset: number, length: number): number
  close(): void
}

/** Limit of one read, so that its bytes are still in the processor's cache when they are used. */
const READ_BYTES = 256 * 1024
/** Room for the headers in front of the largest packet. */
const RECORD_ROOM = 64

export class CaptureWindow {
  readonly memory: FrameMemory
  readonly bytes: Uint8Array
  /** Reading position in the window. */
  at = 0
  /** Byte order of the numbers that {@link u16} and {@link u32} read. */
  little = false
  /** Bytes of the largest packet that is accepted. */
  readonly largestPacket: number
  readonly #view: DataView
  readonly #source: CaptureSource
  readonly #halfBytes: number
  /** The end of what is in the window. */
  #end = 0
  /** Half with `at` in it, 0 or 1. `#kept` is the half that may not be written. */
  #half = 0
  #kept = -1
  /** Offset in the file of the window's byte 0. It is negative at first in the second half. */
  #fileBase = 0
  #sourceEnded = false

  constructor(source: CaptureSource, memory: FrameMemory) {
    this.#source = source
    this.memory = memory
    this.bytes = memory.bytes
    this.#halfBytes = this.bytes.length >>> 1
    this.largestPacket = Math.min(MAX_CAPTURED_BYTES, this.#halfBytes - RECORD_ROOM)
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset)
  }

  /** Returns the number of 16 bits at `offset` bytes from the reading position. */
  u16(offset: number): number {
    return this.#view.getUint16(this.at + offset, this.little)
  }

  /** Returns the signed number of 64 bits at `offset` bytes from the reading position. */
  i64(offset: number): bigint {
    return this.#view.getBigInt64(this.at + offset, this.little)
  }

  /** Returns the number of 32 bits at `offset` bytes from the reading position. */
  u32(offset: number): number {
    return this.#view.getUint32(this.at + offset, this.little)
  }

  /** Position in the file of `at`. */
  get fileOffset(): number {
    return this.#fileBase + this.at
  }

  /** True at the end of the file. */
  get atEnd(): boolean {
    return !this.has(1)
  }

  /**
   * Reads on until the next `bytes` are in the window, in one piece. Returns false if the file ends before.
   *
   * @throws NETMEM_CAPTURE_INVALID for more bytes than a half of the window has.
   */
  has(bytes: number): boolean {
    return this.#end - this.at >= bytes || this.#fill(bytes)
  }

  /** Reads on as {@link has} does. Throws {@link CUT_OFF} if the file ends before. */
  need(bytes: number): void {
    if (!this.has(bytes)) throw CUT_OFF
  }

  /** Moves on by any number of bytes. Throws {@link CUT_OFF} if the file ends before. */
  advance(bytes: number): void {
    let left = bytes
    while (this.#end - this.at < left) {
      left -= this.#end - this.at
      this.at = this.#end
      this.need(1)
    }
    this.at += left
  }

  /** Keeps the present half as it is until the next call. Reading continues in the other half. */
  keep(): void {
    this.#kept = this.#half
  }

  close(): void {
    this.#source.close()
  }

  /** Reads until `bytes` bytes from `at` on are there. */
  #fill(bytes: number): boolean {
    const { bytes: memory } = this
    if (bytes > this.#halfBytes) {
      const limit = `at most ${this.#halfBytes} are accepted`
      throw captureError(this.fileOffset, `a record of ${bytes} bytes; ${limit}.`)
    }
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
