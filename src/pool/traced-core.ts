/** The core of a pool with `traceLeaks`: a separate class, so that other pools have no cost for it. */

import { indexOf } from '../netmem.ts'
import { applicationStack } from './application-stack.ts'
import type { Holder } from './leaks.ts'
import { PoolCore } from './pool-core.ts'

/** A handle that `alloc()` returned. */
interface Allocation {
  readonly handle: number
  readonly sinceMs: number
  readonly stack: string | undefined
}

export class TracedCore extends PoolCore {
  /** The latest of each index. */
  readonly #allocations = new Map<number, Allocation>()

  override alloc(): number | undefined {
    const handle = super.alloc()
    if (handle === undefined) return undefined
    const allocation = { handle, sinceMs: Date.now(), stack: applicationStack() }
    this.#allocations.set(indexOf(handle), allocation)
    return handle
  }

  override holders(): Holder[] {
    const holders: Holder[] = []
    for (const { handle, stack, sinceMs } of this.#allocations.values()) {
      if (!this.frags.slots.isOut(handle)) continue
      const held = this.frags.held(handle)
      holders.push({
        kind: held === undefined ? 'handle' : 'frag',
        label: held?.label,
        stack: held === undefined ? stack : held.stack,
        sinceMs,
      })
    }
    return holders.sort((a, b) => a.sinceMs - b.sinceMs)
  }
}
