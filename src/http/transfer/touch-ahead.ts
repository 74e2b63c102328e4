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
/** Limit of all transfers. The other two of libuv's four threads serve files and names. */
const MAX_THREADS = 2
/** Bytes ahead of the body, so that a slow link does not map memory long before it is needed. */
const AHEAD_BYTES = 4 * STEP_BYTES

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
  const zeros = touches ? openZeros(view) : undefined
  if (zeros === undefined) return body.readInto(view, onProgress)
  const step = (from: number): Uint8Array => view.subarray(from, Math.min(bytes, from + STEP_BYTES))
  /** Steps that a thread has begun to touch, by their first byte. */
  const begun = new Map<number, Promise<void>>()
  let filled = 0
  let next = STEP_BYTES
  const touchNext = (): void => {
    const end = Math.min(bytes, filled + AHEAD_BYTES + 1)
    // Fresh memory reads as zero, and reading maps nothing.
    while (next < end && view[next] === 0 && busyThreads < MAX_THREADS) {
      begun.set(next, touch(zeros, step(next)).then(touchNext))
      next += STEP_BYTES
    }
  }
  try {
    for (let from = 0; filled === from && from < bytes; from += STEP_BYTES) {
      next = Math.max(next, from + STEP_BYTES)
      touchNext()
      await begun.get(from)
      // The caller reports a view that was detached, and a body that has ended early.
      if (view.byteLength === 0) break
      filled += await body.readInto(step(from), (more) => onProgress(from + more))
    }
  } finally {
    next = bytes
    await Promise.all(begun.values())
    close(zeros, () => {})
  }
  return filled
}

/** Opens /dev/zero. Returns `undefined` where it is missing, or no thread can be spared. */
function openZeros(view: Uint8Array): number | undefined {
  // A read into memory that shrinks would fail, or write to unmapped addresses.
  if (availableParallelism() === 1 || canShrink(view)) return undefined
  try {
    return openSync('/dev/zero', 'r')
  } catch {
    return undefined
  }
}

/** Resolves when a thread has written zeros to all of `view`. */
function touch(zeros: number, view: Uint8Array): Promise<void> {
  busyThreads++
  return new Promise((resolve) => {
    read(zeros, view, 0, view.byteLength, null, () => {
      busyThreads--
      resolve()
    })
  })
}
