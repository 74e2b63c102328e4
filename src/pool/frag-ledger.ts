/**
 * What a pool knows of the frags that hold its memory. Each page slot has one keeper, held by the
 * pool while the page rests and by its frags while it is out; if the keeper is collected, so were
 * all frags that could have given the page back. One registry entry per slot, made once: an entry
 * per frag would cost a microsecond each and a major collection every 10⁵.
 */

import { reportLeak } from './leaks.ts'
import type { PagePoolStats } from './stats.ts'

/** Outlives no frag of its page. */
export interface Keeper {
  /** Whether the page is out, and how many frags hold it. */
  readonly record: { out: boolean; frags: number; stack: string | undefined }
  /** Times the page has gone out: tells one use of it from the next. */
  uses: number
}

export class FragLedger {
  #copiedFrags = 0
  #copiedBytes = 0
  #copiedBytesOut = 0
  readonly #pageSize: number
  readonly #trace: boolean
  readonly #resting: (Keeper | undefined)[] = []
  readonly #registry = new FinalizationRegistry<Keeper['record']>((record) => {
    if (record.frags > 0) reportLeak({ pageSize: this.#pageSize, stack: record.stack })
  })

  constructor(pageSize: number, trace: boolean) {
    this.#pageSize = pageSize
    this.#trace = trace
  }

  /** The keeper of a page that goes out. */
  takeOut(slot: number): Keeper {
    const keeper = this.#resting[slot] ?? this.#make()
    this.#resting[slot] = undefined
    keeper.record.out = true
    keeper.uses++
    if (this.#trace) keeper.record.stack = new Error('received here').stack
    return keeper
  }

  /** The page rests again. */
  bringIn(slot: number, keeper: Keeper): void {
    keeper.record.out = false
    this.#resting[slot] = keeper
  }

  copyMade(bytes: number): void {
    this.#copiedFrags++
    this.#copiedBytes += bytes
    this.#copiedBytesOut += bytes
  }

  copyDropped(bytes: number): void {
    this.#copiedBytesOut -= bytes
  }

  copied(): PagePoolStats['copied'] {
    return {
      frags: this.#copiedFrags,
      bytes: this.#copiedBytes,
      bytesOut: this.#copiedBytesOut,
    }
  }

  #make(): Keeper {
    const keeper: Keeper = { record: { out: true, frags: 0, stack: undefined }, uses: 0 }
    this.#registry.register(keeper, keeper.record)
    return keeper
  }
}
