/**
 * What a pool knows of the frags that hold its memory. Each page slot has one keeper, held by the
 * pool while the page rests and by its frags while it is out; if the keeper is collected, so were
 * all frags that could have given the page back. One registry entry per slot, made once: an entry
 * per frag would cost a microsecond each and a major collection every 10⁵.
 */

import { applicationStack } from './application-stack.ts'
import { COPY_OVERHEAD } from './frag-account.ts'
import { reportLeak } from './leaks.ts'
import type { PagePoolStats } from './stats.ts'

/** Record of one use of a page. Holds no frag and no keeper, so that both can be collected. */
export interface HeldPage {
  /** The handle it went out under. */
  handle: number
  /** True while it is out under a keeper. */
  out: boolean
  /** Frags and tokens that hold it. */
  frags: number
  /** Frags of skbs that hold it. */
  skbFrags: number
  /** Another record of the same use: of a page that `pageFrag` was called for again. */
  other: HeldPage | undefined
  /** With `traceLeaks`: from whom, and where the application received it. */
  label: string | undefined
  stack: string | undefined
}

/** Outlives no frag of its page. */
export interface Keeper {
  readonly record: HeldPage
  /** Times the page has gone out: tells one use of it from the next. */
  uses: number
}

/** Memory that is out, as the reports of a pool list it. */
export interface Holder {
  /** `handle`: bare, in no frag and no skb, as an application or a driver has it that called `alloc()`. */
  readonly kind: 'frag' | 'skb' | 'handle'
  /** Label of the peer, such as `tcp 127.0.0.1:5201`. */
  readonly label: string | undefined
  /** Frames of the application that received or allocated it. */
  readonly stack: string | undefined
  /** Milliseconds since 1970 at which it went out. */
  readonly sinceMs: number
}

/** True if frags or skbs hold the memory, in the use of it that the record is of. */
function isHeld(record: HeldPage, isOut: (handle: number) => boolean): boolean {
  return heldRecord(record) !== undefined && isOut(record.handle)
}

/** The record of this use that frags or skbs belong to, if any. */
function heldRecord(record: HeldPage): HeldPage | undefined {
  let held: HeldPage | undefined = record
  while (held !== undefined && held.frags + held.skbFrags === 0) held = held.other
  return held
}

/** A handle that `alloc()` returned, with `traceLeaks`. */
interface Allocation {
  readonly handle: number
  readonly sinceMs: number
  readonly stack: string | undefined
}

export class FragLedger {
  #copiedFrags = 0
  #copiedBytes = 0
  #copiedBytesOut = 0
  #copiedFragsOut = 0
  /** Bytes of copies that may be out before sockets make no more. */
  readonly #copyLimit: number
  /** Called after each release of a copy while set. */
  onCopyDropped: (() => void) | undefined
  readonly #pageSize: number
  /** True with `traceLeaks`. */
  readonly tracing: boolean
  readonly #resting: (Keeper | undefined)[] = []
  /** Of each slot that ever had a keeper. */
  readonly #records: (HeldPage | undefined)[] = []
  readonly #allocations = new Map<number, Allocation>()
  readonly #registry = new FinalizationRegistry<HeldPage>((record) => {
    const { frags, skbFrags, label, stack } = record
    if (frags + skbFrags === 0) return
    reportLeak({ kind: skbFrags > 0 ? 'skb' : 'frag', pageSize: this.#pageSize, label, stack })
  })

  constructor(pageSize: number, tracing: boolean, copyLimit: number) {
    this.#copyLimit = copyLimit
    this.#pageSize = pageSize
    this.tracing = tracing
  }

  /** The keeper of a page that goes out. */
  takeOut(slot: number, handle: number): Keeper {
    const keeper = this.#resting[slot] ?? this.#make(slot, handle)
    this.#resting[slot] = undefined
    const { record } = keeper
    record.out = true
    record.handle = handle
    keeper.uses++
    if (this.tracing) {
      record.label = undefined
      record.stack = applicationStack()
    }
    return keeper
  }

  /** The page rests again. */
  bringIn(slot: number, keeper: Keeper): void {
    const { record } = keeper
    record.out = false
    record.other = undefined
    this.#resting[slot] = keeper
    if (this.#records[slot] !== record) this.#records[slot] = record
  }

  /** Notes where a handle was allocated; called with `traceLeaks` only. */
  allocated(slot: number, handle: number): void {
    this.#allocations.set(slot, { handle, sinceMs: Date.now(), stack: applicationStack() })
  }

  /** Number of netmem that frags and skbs hold, dropped ones included; `isOut` tells whether a handle is out. */
  heldByFrags(isOut: (handle: number) => boolean): number {
    let held = 0
    for (const record of this.#records) if (record !== undefined && isHeld(record, isOut)) held++
    return held
  }

  /** Lists who holds the pool's memory, the longest first. Without `traceLeaks` nothing is known of that. */
  holders(isOut: (handle: number) => boolean): Holder[] {
    const holders: Holder[] = []
    for (const [slot, { handle, stack, sinceMs }] of this.#allocations) {
      if (!isOut(handle)) continue
      const record = this.#records[slot]
      const held = record?.handle === handle ? heldRecord(record) : undefined
      if (held === undefined) {
        holders.push({ kind: 'handle', label: undefined, stack, sinceMs })
      } else {
        const kind = held.skbFrags > 0 ? 'skb' : 'frag'
        holders.push({ kind, label: held.label, stack: held.stack, sinceMs })
      }
    }
    return holders.sort((a, b) => a.sinceMs - b.sinceMs)
  }

  copyMade(bytes: number): void {
    this.#copiedFrags++
    this.#copiedBytes += bytes
    this.#copiedBytesOut += bytes
    this.#copiedFragsOut++
  }

  copyDropped(bytes: number): void {
    this.#copiedBytesOut -= bytes
    this.#copiedFragsOut--
    this.onCopyDropped?.()
  }

  /** Bytes of copies that may be made before the limit; each needs COPY_OVERHEAD besides its payload. */
  get copyRoom(): number {
    return this.#copyLimit - this.#copiedBytesOut - this.#copiedFragsOut * COPY_OVERHEAD
  }

  copied(): PagePoolStats['copied'] {
    return {
      frags: this.#copiedFrags,
      bytes: this.#copiedBytes,
      bytesOut: this.#copiedBytesOut,
      limit: this.#copyLimit,
    }
  }

  #make(slot: number, handle: number): Keeper {
    const before = this.#records[slot]
    const record: HeldPage = {
      handle,
      out: true,
      frags: 0,
      skbFrags: 0,
      other: before?.handle === handle ? heldRecord(before) : undefined,
      label: undefined,
      stack: undefined,
    }
    const keeper: Keeper = { record, uses: 0 }
    this.#records[slot] = record
    this.#registry.register(keeper, record)
    return keeper
  }
}
