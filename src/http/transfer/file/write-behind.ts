/**
 * Writes frags to a file while more of them arrive. Frags that come during one write go out together
 * with the next, since each call of `fs` costs a trip to another thread.
 */

import type { FileHandle } from 'node:fs/promises'
import type { HostFrag } from '../../../pool/frag.ts'

/** Writes all of `views`, one after the other, at `position`. */
export type WriteAll = (views: Uint8Array[], position: number) => Promise<void>

/** Limit of bytes that wait for the present write. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** Limit of frags that wait. Small ones are copies, which no pool bounds. */
const MAX_WAITING_FRAGS = 64

export class WriteBehind {
  readonly #writeAll: WriteAll
  readonly #written: (bytes: number) => void
  #position: number
  #waiting: HostFrag[] = []
  #waitingBytes = 0
  #writing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /** Begins at `position`. Calls `written` with the number of bytes of each finished write. */
  constructor(position: number, writeAll: WriteAll, written: (bytes: number) => void) {
    this.#position = position
    this.#writeAll = writeAll
    this.#written = written
  }

  /** Takes a frag, and releases it when it is written. Resolves when there is room for another one. */
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

  /** Resolves when all frags are written, or released after a failure. */
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

/** Writes all of `views` to a file, one after the other: at `at`, or at the file's position. */
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
