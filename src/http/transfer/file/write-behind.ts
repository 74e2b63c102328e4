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
  readonly #written: (position: number) => void
  #position: number
  #waiting: HostFrag[] = []
  #waitingBytes = 0
  #writing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /** Begins at `position`. Calls `written` with the position behind each finished write. */
  constructor(position: number, writeAll: WriteAll, written: (position: number) => void) {
    this.#position = position
    this.#writeAll = writeAll
    this.#written = written
  }

  /**
   * Takes a frag, and releases it when it is written or a write has failed. Resolves when there is room
   * for another one. Rejects after a failure.
   */
  async add(frag: HostFrag): Promise<void> {
    this.#waiting.push(frag)
    this.#waitingBytes += frag.length
    if (this.#writing === undefined) this.#next()
    while (this.#waitingBytes >= MAX_WAITING_BYTES || this.#waiting.length >= MAX_WAITING_FRAGS) {
      await this.#writing
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Resolves when all frags are written. Rejects after a failure, when all are released. */
  async end(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #next(): void {
    this.#writing = this.#waiting.length === 0 ? undefined : this.#write().then(() => this.#next())
  }

  /** Writes what waits, unless a write has failed, and releases it. Never rejects. */
  async #write(): Promise<void> {
    const frags = this.#waiting
    const bytes = this.#waitingBytes
    this.#waiting = []
    this.#waitingBytes = 0
    try {
      if (this.#failure === undefined) {
        const views = frags.map((frag) => frag.bytes)
        await this.#writeAll(views, this.#position)
        this.#position += bytes
        this.#written(this.#position)
      }
    } catch (error) {
      this.#failure = { error }
    }
    for (const frag of frags) frag.release()
  }
}

/** Writes all of `views` to a file, one after the other: at `at`, or at the file's position. */
export async function writeAll(
  file: FileHandle,
  views: readonly Uint8Array[],
  at: number | undefined,
): Promise<void> {
  const bytes = views.reduce((sum, { byteLength }) => sum + byteLength, 0)
  const { bytesWritten } = await file.writev(views, at)
  if (bytesWritten === bytes) return
  // A disk that gets full takes a part, and refuses the rest.
  const rest = Buffer.concat(views, bytes).subarray(bytesWritten)
  await writeAll(file, [rest], at === undefined ? undefined : at + bytesWritten)
}
