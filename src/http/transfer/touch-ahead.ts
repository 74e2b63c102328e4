/**
 * Prefaults a destination ahead of its body. The kernel maps fresh memory page by page at the first
 * write, which can be slower than the network (0.3 to 1.6 GB/s were measured). A thread of libuv's pool
 * reads zeros from /dev/zero into the next bytes, so that the receiving thread need not fault. Memory
 * that holds anything but zeros was used before, and is left alone.
 *
 * The thread knows nothing of JavaScript: it would write to the old address of memory that was
 * transferred or unmapped. So this is for memory that cannot move, or whose owner promises so.
 */

import { close, openSync, read } from 'node:fs'
import { availableParallelism } from 'node:os'
import { canShrink } from '../../net/internal.ts'
import { cannotMove } from '../../providers/aligned-memory.ts'
import type { Body } from '../client/body.ts'

/** Bytes to prefault at a time, tens of milliseconds of work. Half as many made huge pages slower. */
const STEP_BYTES = 16 * 1024 * 1024
/** Smallest body to prefault for. */
const LEAST_BYTES = 2 * STEP_BYTES
/** Most steps ahead of the body, so that a slow link does not map memory long before it is needed. */
const WINDOW_STEPS = 4
/** Limit of all transfers. The other two of libuv's four threads serve files and names. */
const MAX_THREADS = 2

let busyThreads = 0

/**
 * Reads as `body.readInto` does, and prefaults `view` if its memory cannot move or `stays` is true. Bytes
 * of `view` that the body has not reached may become zeros.
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
      // The caller reports a view that was detached.
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
  /** Steps in progress, by number. */
  readonly #underWay = new Map<number, Promise<void>>()
  #reached = 0
  #next = 1

  /** Returns `undefined` where no thread can be spared, or /dev/zero is missing. */
  static of(view: Uint8Array): TouchAhead | undefined {
    // A read into memory that shrinks would fail, or write to unmapped addresses.
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

  /** Notes that the body has reached `step`. Resolves when no thread writes to that step. */
  async reach(step: number): Promise<void> {
    this.#reached = step
    this.#next = Math.max(this.#next, step + 1)
    this.#goOn()
    await this.#underWay.get(step)
  }

  /** Resolves when no thread writes to the memory. */
  async end(): Promise<void> {
    this.#next = this.#steps
    await Promise.all(this.#underWay.values())
    close(this.#zeros, () => {})
  }

  #goOn(): void {
    while (busyThreads < MAX_THREADS && this.#underWay.size < MAX_THREADS) {
      const step = this.#next
      if (step >= this.#steps || step > this.#reached + WINDOW_STEPS) return
      // Fresh memory reads as zero, and reading maps nothing.
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
