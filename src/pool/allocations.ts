/** Holders of a pool's memory, as its reports list them: known with `traceLeaks` only. */

import { applicationStack } from './application-stack.ts'
import type { Holder } from './leaks.ts'
import type { Tokens } from './tokens.ts'

/** A handle that `alloc()` returned. */
interface Allocation {
  readonly handle: number
  readonly sinceMs: number
  readonly stack: string | undefined
}

/** The handles of a pool with `traceLeaks`, by slot. */
export class Allocations {
  readonly #bySlot = new Map<number, Allocation>()

  /** Notes where a handle was allocated. */
  add(slot: number, handle: number): void {
    this.#bySlot.set(slot, { handle, sinceMs: Date.now(), stack: applicationStack() })
  }

  /** Lists who holds the pool's memory, the longest first. */
  holders(tokens: Tokens, isOut: (handle: number) => boolean): Holder[] {
    const holders: Holder[] = []
    for (const [slot, { handle, stack, sinceMs }] of this.#bySlot) {
      if (!isOut(handle)) continue
      const held = tokens.held(slot, handle)
      if (held === undefined) {
        holders.push({ kind: 'handle', label: undefined, stack, sinceMs })
      } else {
        holders.push({ kind: 'frag', label: held.label, stack: held.stack, sinceMs })
      }
    }
    return holders.sort((a, b) => a.sinceMs - b.sinceMs)
  }
}
