/**
 * Writes frags to a file while more of them arrive: what came during one write goes out with the
 * next, in one call. Frags are often smaller than pages, and each call of `fs` costs a trip to
 * another thread.
 */

import type { FileHandle } from 'node:fs/promises'
import type { HostFrag } from '../../../pool/frag.ts'

/** Writes all of `views`, one after the other, at `position`. */
export type WriteAll = (views: Uint8Array[], position: number) => Promise<void>

/** What waits at the most, besides what is being written; the pool may hold less. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** Small frags are copies, which no pool bounds. */
const MAX_WAITING_FRAGS = 64

export class WriteBehind {
  readonly #writeAll: WriteAll
  readonly #written: (bytes: number) => void
  #position: number
  #waiting: HostFrag[] = []
  #waitingBytes = 0
  #writing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /** Begins at `position`; `written` is told of bytes that are in the file, in their order. */
  constructor(position: number, writeAll: WriteAll, written: (bytes: number) => void) {
    this.#position = position
    this.#writeAll = writeAll
    this.#written = written
  }

  /** Takes a frag, and gives it back when it is written; resolves when there is room for another one. */
  async add(frag: HostFrag): Promise<void> {
    this.#waiting.push(frag)
    this.#waitingBytes += frag.length
    this.#next()
    while (this.#full && this.#writing !== undefined) await this.#writing
    this.#check()
  }

  /** Resolves when everything is written. */
  async end(): Promise<void> {
    await this.settled()
    this.#check()
  }

  /** Resolves when everything is written, or has been given back since something could not be. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  get #full(): boolean {
    return this.#waitingBytes >= MAX_WAITING_BYTES || this.#waiting.length >= MAX_WAITING_FRAGS
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #next(): void {
    if (this.#writing !== undefined) return
    if (this.#failure !== undefined) this.#drop()
    if (this.#waiting.length === 0) return
    const frags = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    this.#writing = this.#write(frags)
  }

  /** Never rejects. */
  async #write(frags: readonly HostFrag[]): Promise<void> {
    try {
      const position = this.#position
      const bytes = frags.reduce((sum, { length }) => sum + length, 0)
      this.#position += bytes
      await this.#writeAll(
        frags.map((frag) => frag.bytes),
        position,
      )
      this.#written(bytes)
    } catch (error) {
      this.#failure ??= { error }
    } finally {
      for (const frag of frags) frag.release()
      this.#writing = undefined
      this.#next()
    }
  }

  #drop(): void {
    for (const frag of this.#waiting) frag.release()
    this.#waiting = []
    this.#waitingBytes = 0
  }
}

/** Writes all of `views` to a file, one after the other, at `at`, or where the file stands. */
export async function writeAll(
  file: FileHandle,
  views: readonly Uint8Array[],
  at: number | undefined,
): Promise<void> {
  let done = 0
  for (let rest = views; rest.length > 0; ) {
    const { bytesWritten } = await file.writev(rest, at === undefined ? at : at + done)
    done += bytesWritten
    rest = unwritten(rest, bytesWritten)
  }
}

/** Returns what is left of `views` when their first `bytes` bytes are written. */
function unwritten(views: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let done = bytes
  const rest: Uint8Array[] = []
  for (const view of views) {
    const skipped = Math.min(done, view.byteLength)
    done -= skipped
    if (skipped < view.byteLength) rest.push(skipped === 0 ? view : view.subarray(skipped))
  }
  return rest
}
