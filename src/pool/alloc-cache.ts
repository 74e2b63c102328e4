/**
 * A pool's alloc cache: its count at index {@link CACHED}, then that many handles, last in first
 * out. The count of a closed cache is stored inverted, as −1 − count. So the fast paths, in
 * `PoolCore` and `release`, neither take from it nor add to it. This file has the slow paths.
 */

import type { RecycleRing } from './recycle-ring.ts'

/** Index of the count. */
export const CACHED = 0

/** Number of handles in the cache, open or closed. */
export function count(cache: Int32Array): number {
  const stored = cache[CACHED] ?? 0
  return stored < 0 ? ~stored : stored
}

/** Lists the handles, the oldest first. */
export function handles(cache: Int32Array): Int32Array {
  return cache.subarray(1, 1 + count(cache))
}

export function open(cache: Int32Array): void {
  cache[CACHED] = count(cache)
}

export function close(cache: Int32Array): void {
  cache[CACHED] = ~count(cache)
}

/** Adds a handle to a cache that has room. */
export function push(cache: Int32Array, handle: number): void {
  const handles = count(cache) + 1
  cache[handles] = handle
  setCount(cache, handles)
}

/** Takes the latest handle of a cache that has one. */
export function pop(cache: Int32Array): number {
  const handles = count(cache)
  setCount(cache, handles - 1)
  return cache[handles] ?? -1
}

/** Moves up to `limit` handles of the ring to an empty cache. Returns how many. */
export function refill(cache: Int32Array, ring: RecycleRing, limit: number): number {
  const moved = ring.moveTo(cache, 1, limit)
  setCount(cache, moved)
  return moved
}

function setCount(cache: Int32Array, handles: number): void {
  cache[CACHED] = (cache[CACHED] ?? 0) < 0 ? ~handles : handles
}
