/**
 * Fresh memory is mapped page by page when it is first written to, which can cost more than the
 * network (0.3 to 1.6 GB/s were measured). Left to the socket, that happens in the one thread that
 * receives; here a thread of libuv's pool does it ahead, by reading zeros from /dev/zero into what
 * the body will fill. Memory that was used before is told by what is in it, and left alone.
 *
 * That thread knows nothing of JavaScript: it would write to memory that was transferred meanwhile,
 * or is not there any more. So this is for memory that cannot move, or whose owner says that it won't.
 */

import { close, openSync, read } from 'node:fs'
import { availableParallelism } from 'node:os'
import { canShrink } from '../../net/receivers/destination-memory.ts'
import { cannotMove } from '../../providers/aligned-memory.ts'
import type { Body } from '../client/body.ts'

/** Bytes touched at a time: tens of milliseconds' work where it matters. Half as many made huge pages slower. */
const STEP_BYTES = 16 * 1024 * 1024
/** Below this little is gained. */
const LEAST_BYTES = 2 * STEP_BYTES
/** Steps between the body and what is touched: on a slow link nothing is taken long before its time. */
const WINDOW_STEPS = 4
/** Of all transfers; the rest of the pool's four threads are for files, names and whoever else needs them. */
const MAX_THREADS = 2

let busyThreads = 0

/**
 * Reads as `body.readInto` does, into memory touched ahead if it cannot move or `stays` says that it
 * will not. What of `view` the body has not reached may be zeroed meanwhile.
 */
export async function readTouched(
  body: Body,
  view: Uint8Array,
  onProgress: (bytes: number) => void,
  stays = false,
): Promise<number> {
  const bytes = Math.min(view.byteLength, body.left ?? 0)
  const touches = bytes >= LEAST_BYTES && (stays || cannotMove(view.buffer))
  const ahead = touches ? TouchAhead.of(view.subarray(0, bytes)) : undefined
  if (ahead === undefined) return body.readInto(view, onProgress)
  let filled = 0
  try {
    while (filled < bytes) {
      const before = filled
      await ahead.reach(before / STEP_BYTES)
      // Memory that is gone is whoever filled it last's to notice.
      if (view.byteLength === 0) break
      const step = view.subarray(before, Math.min(bytes, before + STEP_BYTES))
      filled += await body.readInto(step, (more) => onProgress(before + more))
    }
  } finally {
    await ahead.end()
  }
  return filled
}

class TouchAhead {
  readonly #view: Uint8Array
  readonly #steps: number
  readonly #zeros: number
  /** Steps under way, by number. */
  readonly #underWay = new Map<number, Promise<void>>()
  #reached = 0
  #next = 1

  /** `undefined` where there is no thread to spare or nothing to read zeros from. */
  static of(view: Uint8Array): TouchAhead | undefined {
    // Memory that shrinks meanwhile would end the read, or worse.
    if (availableParallelism() === 1 || canShrink(view)) return undefined
    try {
      return new TouchAhead(view, openSync('/dev/zero', 'r'))
    } catch {
      return undefined
    }
  }

  private constructor(view: Uint8Array, zeros: number) {
    this.#view = view
    this.#steps = Math.ceil(view.byteLength / STEP_BYTES)
    this.#zeros = zeros
  }

  /** The body has got to this step: waits while it is being touched, and has those after it touched. */
  async reach(step: number): Promise<void> {
    this.#reached = step
    this.#next = Math.max(this.#next, step + 1)
    this.#goOn()
    await this.#underWay.get(step)
  }

  /** Resolves when nothing writes to the memory any more. */
  async end(): Promise<void> {
    this.#next = this.#steps
    await Promise.all(this.#underWay.values())
    close(this.#zeros, () => {})
  }

  #goOn(): void {
    while (busyThreads < MAX_THREADS && this.#underWay.size < MAX_THREADS) {
      const step = this.#next
      if (step >= this.#steps || step > this.#reached + WINDOW_STEPS) return
      // A byte of fresh memory is zero; reading it maps nothing yet.
      if (this.#view[step * STEP_BYTES] !== 0) {
        this.#next = this.#steps
        return
      }
      this.#next++
      this.#underWay.set(step, this.#touch(step))
    }
  }

  #touch(step: number): Promise<void> {
    const from = step * STEP_BYTES
    const bytes = Math.min(STEP_BYTES, this.#view.byteLength - from)
    busyThreads++
    return new Promise((resolve) => {
      read(this.#zeros, this.#view, from, bytes, null, () => {
        busyThreads--
        this.#underWay.delete(step)
        this.#goOn()
        resolve()
      })
    })
  }
}
