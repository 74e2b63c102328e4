/**
 * Ages of the memory that pools have out. Exact with `traceLeaks`. Otherwise the slots are looked at
 * every second, so that allocating has no extra cost. The true age is then at least the reported one.
 */

import { poolCores } from '../pool/pools.ts'

type Core = ReturnType<typeof poolCores>[number]

/** Handles that were out at the last look, each with the time at which it was first seen. */
type Seen = ReadonlyMap<number, number>

export class PoolAges {
  #seen = new WeakMap<Core, Seen>()

  /** Looks at all pools of this thread. */
  look(nowMs: number = Date.now()): void {
    const seen = new WeakMap<Core, Seen>()
    for (const core of poolCores()) {
      const before = this.#seen.get(core)
      const handles = core.outHandles()
      seen.set(core, new Map(handles.map((handle) => [handle, before?.get(handle) ?? nowMs])))
    }
    this.#seen = seen
  }

  /** Milliseconds since the oldest memory of each pool went out, in the order of `pools()`. */
  oldest(nowMs: number = Date.now()): (number | undefined)[] {
    this.look(nowMs)
    return poolCores().map((core) => {
      const traced = core.holders()[0]?.sinceMs
      if (traced !== undefined) return nowMs - traced
      let first = Number.POSITIVE_INFINITY
      for (const sinceMs of this.#seen.get(core)?.values() ?? []) first = Math.min(first, sinceMs)
      return Number.isFinite(first) ? nowMs - first : undefined
    })
  }
}
