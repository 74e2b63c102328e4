/**
 * References of a pool's memory that are in frags, and the rest of the page that frags were cut
 * from last.
 *
 * A frag that is dropped without release() is reported when its token is collected. A handle is an
 * integer, which no collector sees. Each slot has one token. The pool holds it while the memory
 * rests, and while there are references that are in no frag. Once frags have all references, they
 * alone hold the token: its collection means that no frag is left which could give the memory back.
 * There is one registry entry a slot, made once: one a frag would cost a microsecond and a major
 * collection every 10⁵.
 */

import * as netmem from '../netmem.ts'
import { applicationStack } from './application-stack.ts'
import type { FragAccount } from './frag-account.ts'
import { reportLeak } from './leaks.ts'
import { type Lender, notShared } from './lender.ts'
import type { Borrower, Lent } from './lent.ts'
import type { SlotStates } from './slot-states.ts'

// Constants as in pool-core.ts, which an engine folds.
const { CACHE_SIZE, GENERATION_STEP, INDEX_MASK, INDEX_SHIFT, RANGE_SHIFT } = netmem.LAYOUT
const { cacheAt, caches, states } = netmem.columns

/** Record of one use of a slot, by its token. It does not hold the token, which must be collected. */
export interface UseRecord {
  /** The handle the memory went out under. */
  handle: number
  /** References that are in frags. */
  frags: number
  /** References in frags of this use that were dropped, and their token with them. */
  lost: number
  /** True while a new use changes the handle alone: nothing is lost, and no `traceLeaks`. */
  plain: boolean
  /** Peer, and place in the application that received it, if the pool traces leaks. */
  label: string | undefined
  stack: string | undefined
}

/** Held by the frags of its memory, and collected after the last of them. */
export class Token {
  // Declared: fields that the class made would be `undefined` first, and be checked at each use.
  declare readonly owner: FragMemory
  declare readonly record: UseRecord

  constructor(owner: FragMemory, record: UseRecord) {
    this.owner = owner
    this.record = record
  }
}

/**
 * Token of each slot of the descriptor table that rests, or has references in no frag. One column for
 * all pools: `holdToken` and `dropToken` load no pool.
 */
const restingTokens: (Token | undefined)[] = []

/**
 * Moves the only reference of memory that has a token into a frag, if the pool is `owner` or no owner
 * is given: the page of a received frag. Returns `undefined` otherwise, and nothing has changed.
 */
export function holdToken(handle: number, owner?: FragMemory): Token | undefined {
  const index = (handle >> INDEX_SHIFT) & INDEX_MASK
  const token = restingTokens[index]
  if (token === undefined || states[index] !== handle || !token.record.plain) return undefined
  if (owner !== undefined && token.owner !== owner) return undefined
  restingTokens[index] = undefined
  token.record.handle = handle
  token.record.frags++
  return token
}

/** Gives a frag's reference back: `release`, with the token. */
export function dropToken(handle: number, token: Token): void {
  const index = (handle >> INDEX_SHIFT) & INDEX_MASK
  const at = cacheAt[index >> RANGE_SHIFT] ?? 0
  const cached = (caches[at] ?? 0) >>> 0
  // Repeats `release`: with two calls one in the other, engines took a quarter longer.
  if (cached < CACHE_SIZE && states[index] === handle) {
    token.record.frags--
    restingTokens[index] = token
    const next = (handle + GENERATION_STEP) | 0
    states[index] = next
    caches[at + cached + 1] = next
    caches[at] = cached + 1
    return
  }
  token.owner.drop(handle, token)
}

/** Rest of a partly filled page. */
interface Rest {
  readonly handle: number
  readonly offset: number
}

/** Pool of the frags, besides its slots. */
interface PoolOfFrags extends Pick<netmem.HandleOwner, 'retain' | 'put'> {
  readonly pageSize: number
  readonly destroyed: boolean
  /** Gives back a reference that a thread had when it ended. */
  putAbandoned(handle: number): void
  /** Returns the slot of a handle that is out. Throws for every other value. */
  check(handle: number): number
}

export class FragMemory {
  // Declared as in `Token`.
  declare readonly pool: PoolOfFrags
  declare readonly slots: SlotStates
  /** Undefined before the pool is shared. */
  lender: Lender | undefined
  readonly #tracing: boolean
  /** Record of each slot that ever had a token. */
  readonly #records: (UseRecord | undefined)[] = []
  /** Token of each record, while frags alone hold it too. */
  readonly #tokens: (WeakRef<Token> | undefined)[] = []
  readonly #registry: FinalizationRegistry<UseRecord>
  #rest: Rest | undefined

  constructor(pool: PoolOfFrags, slots: SlotStates, tracing: boolean) {
    this.pool = pool
    this.slots = slots
    this.#tracing = tracing
    const { pageSize } = pool
    this.#registry = new FinalizationRegistry(({ frags, label, stack }) => {
      if (frags > 0) reportLeak({ kind: 'frag', pageSize, label, stack })
    })
    while (restingTokens.length < slots.end) restingTokens.push(undefined)
  }

  /** Moves a bare reference into a frag. */
  hold(handle: number): Token {
    const slot = this.pool.check(handle)
    const index = netmem.indexOf(handle)
    const token =
      restingTokens[index] ?? this.#tokens[slot]?.deref() ?? this.#makeToken(slot, handle)
    restingTokens[index] = token
    const { record } = token
    if (record.handle !== handle) this.#begin(record, handle)
    record.frags++
    this.#settle(slot, handle)
    return token
  }

  /** Gives a frag's reference back. */
  drop(handle: number, token: Token): void {
    this.#takeOut(handle, token)
    this.pool.put(handle, true)
  }

  /** Adds a bare reference to memory that a frag has. */
  share(handle: number, token: Token): void {
    this.pool.retain(handle, 1)
    restingTokens[netmem.indexOf(handle)] ??= token
  }

  /** Moves a frag's reference to another thread. `undefined` when as many are lent as may be. */
  lend(
    handle: number,
    token: Token,
    offset: number,
    length: number,
    borrower: Borrower,
    account: FragAccount | undefined,
  ): Lent | undefined {
    if (this.lender === undefined) throw notShared()
    const at = this.pool.check(handle) * this.pool.pageSize + offset
    return this.lender.lend(at, length, borrower, (abandoned) => {
      try {
        this.#takeOut(handle, token)
        if (abandoned) this.pool.putAbandoned(handle)
        else this.pool.put(handle, false)
      } finally {
        account?.credit(length)
      }
    })
  }

  /** Record of the frags that have the memory of a handle, if any. */
  held(handle: number): UseRecord | undefined {
    const record = this.#records[this.slots.slot(handle)]
    return heldReferences(record, handle) > 0 ? record : undefined
  }

  /** Number of slots whose memory is in frags, dropped ones included. */
  get heldSlots(): number {
    const held = this.#records.filter((record) => {
      return record !== undefined && this.slots.isOut(record.handle) && this.held(record.handle)
    })
    return held.length
  }

  /** Forgets the tokens: another pool may claim the slots. */
  close(): void {
    restingTokens.fill(undefined, this.slots.base, this.slots.end)
  }

  /** Gives back one of several references. Returns true for the last one, which the caller recycles. */
  unshare(slot: number, handle: number): boolean {
    const { slots } = this
    const references = slots.references(slot) - 1
    if (references === 0) {
      // A partly filled page: its rest is gone with it.
      this.#rest = undefined
      slots.unshare(slot, handle)
      return true
    }
    if (references > 1 || this.#rest?.handle === handle) slots.share(slot, handle, references)
    else slots.unshare(slot, handle)
    this.#settle(slot, handle)
    return false
  }

  /**
   * Leaves the rest of a page to the next reservation. It takes no reference, so that an idle pool
   * has nothing out. The slot is shared, so that its last put takes the slow path and drops the rest.
   */
  leave(handle: number, offset: number): void {
    const { slots } = this
    const slot = this.pool.check(handle)
    if (this.pool.destroyed) return
    this.forgetRest()
    this.#rest = { handle, offset }
    slots.share(slot, handle, slots.references(slot))
  }

  /** Takes the rest and a reference for it, if it has room for `minBytes`. */
  takeRest(minBytes: number): Rest | undefined {
    const rest = this.#rest
    if (rest === undefined || this.pool.pageSize - rest.offset < minBytes) return undefined
    this.pool.retain(rest.handle, 1)
    this.#rest = undefined
    return rest
  }

  forgetRest(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest === undefined) return
    const slot = this.slots.slot(rest.handle)
    if (this.slots.references(slot) === 1) this.slots.unshare(slot, rest.handle)
    this.#settle(slot, rest.handle)
  }

  /** Makes a reference that is in a frag bare again. */
  #takeOut(handle: number, token: Token): void {
    // The handle of a page that was put behind its frag's back is stale, and its use over.
    if (token.record.handle === handle) token.record.frags--
    const index = netmem.indexOf(handle)
    if (states[index] === handle) restingTokens[index] = token
    // Other references: the token of one that is in no frag stays.
    else if (this.slots.isOut(handle)) restingTokens[index] ??= token
  }

  /** The first token of a slot, or another one after frags were dropped with theirs. */
  #makeToken(slot: number, handle: number): Token {
    const lost = heldReferences(this.#records[slot], handle)
    const record: UseRecord = {
      handle,
      frags: 0,
      lost,
      plain: lost === 0 && !this.#tracing,
      label: undefined,
      stack: this.#tracing ? applicationStack() : undefined,
    }
    const token = new Token(this, record)
    this.#records[slot] = record
    this.#tokens[slot] = new WeakRef(token)
    this.#registry.register(token, record)
    return token
  }

  /** Begins a new use of the slot. */
  #begin(record: UseRecord, handle: number): void {
    record.handle = handle
    record.frags = 0
    record.lost = 0
    if (!this.#tracing) return
    record.label = undefined
    record.stack = applicationStack()
  }

  /** Leaves the token to frags alone once they have all references. */
  #settle(slot: number, handle: number): void {
    const index = netmem.indexOf(handle)
    const token = restingTokens[index]
    if (token === undefined || this.#rest?.handle === handle) return
    if (heldReferences(token.record, handle) === this.slots.references(slot)) {
      restingTokens[index] = undefined
    }
  }
}

/** References that frags have, or were dropped with, in the use of the slot under `handle`. */
function heldReferences(record: UseRecord | undefined, handle: number): number {
  return record?.handle === handle ? record.frags + record.lost : 0
}
