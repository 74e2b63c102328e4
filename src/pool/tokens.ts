/**
 * Tokens of frags: a frag that is dropped without release() is reported when its token is
 * collected. A handle is an integer, which no collector sees.
 *
 * Each slot has one token. The pool holds it while the memory rests, and while there are
 * references that are in no frag. Once frags have all references, they alone hold the token: its
 * collection means that no frag is left which could give the memory back. There is one registry
 * entry a slot, made once: one a frag would cost a microsecond and a major collection every 10⁵.
 */

import * as netmem from '../netmem.ts'
import { applicationStack } from './application-stack.ts'
import type { FragAccount } from './frag-account.ts'
import { reportLeak } from './leaks.ts'
import type { Borrower, Lent } from './lent.ts'

/** Record of one use of a slot. Holds no frag and no token, so that both can be collected. */
export interface UseRecord {
  /** The handle the memory went out under. */
  handle: number
  /** References that are in frags. */
  frags: number
  /** True while a new use changes the handle alone: one record in its slot, and no `traceLeaks`. */
  plain: boolean
  /** Another record of the same use, whose token frags alone held when this one was made. */
  other: UseRecord | undefined
  /** Peer, and place in the application that received it, if the pool traces leaks. */
  label: string | undefined
  stack: string | undefined
}

/** Pool of a token's memory: moves references into frags, and out of them. */
export interface TokenOwner {
  /** Moves a bare reference into a frag. */
  hold(handle: number): Token
  /** Gives a frag's reference back. */
  drop(handle: number, token: Token): void
  /** Adds a bare reference to memory that a frag has. */
  share(handle: number, token: Token): void
  /**
   * Takes in memory that other threads have returned, if no frag can be lent otherwise. May wake callers.
   */
  makeRoom(): void
  /** Moves a frag's reference to another thread. */
  lend(
    handle: number,
    token: Token,
    offset: number,
    length: number,
    borrower: Borrower,
    account: FragAccount | undefined,
  ): Lent | undefined
}

/** Held by the frags of its memory, and collected after the last of them. */
export class Token {
  // Declared: fields that the class made would be `undefined` first, and be checked at each use.
  declare readonly owner: TokenOwner
  declare readonly record: UseRecord

  constructor(owner: TokenOwner, record: UseRecord) {
    this.owner = owner
    this.record = record
  }
}

// Own constants, which an engine folds: see `pool-core.ts`.
const { CACHE_SIZE, GENERATION_STEP, INDEX_MASK, INDEX_SHIFT, RANGE_SHIFT } = netmem
const { cacheAt, caches, states } = netmem.columns

/**
 * Token of each slot of the descriptor table that rests, or has references in no frag. One column for
 * all pools: `hold` and `drop` load no pool.
 */
export const restingTokens: (Token | undefined)[] = []

/** Makes room for the tokens of a pool's slots. */
export function openTokens(base: number, slots: number): void {
  while (restingTokens.length < base + slots) restingTokens.push(undefined)
}

/** Forgets the tokens of a pool's slots: another pool may claim them. */
export function closeTokens(base: number, slots: number): void {
  restingTokens.fill(undefined, base, base + slots)
}

/**
 * Moves the only reference of memory that has a token into a frag, if the pool is `owner` or no owner
 * is given: the page of a received frag. Returns `undefined` otherwise, and nothing has changed.
 */
export function holdToken(handle: number, owner?: TokenOwner): Token | undefined {
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
  // Not a call of `release`: with two calls one in the other, engines took a quarter longer.
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

/** References that frags have, in the use of the slot under `handle`. */
export function heldReferences(record: UseRecord, handle: number): number {
  let held = 0
  for (let of: UseRecord | undefined = record; of !== undefined; of = of.other) {
    if (of.handle === handle) held += of.frags
  }
  return held
}

/** Record of this use that frags belong to, if any. */
function heldRecord(record: UseRecord): UseRecord | undefined {
  let held: UseRecord | undefined = record
  while (held !== undefined && held.frags === 0) held = held.other
  return held
}

/** The tokens of one pool. */
export class Tokens {
  readonly #tracing: boolean
  /** Record of each slot that ever had a token. */
  readonly #records: (UseRecord | undefined)[] = []
  readonly #registry: FinalizationRegistry<UseRecord>

  constructor(pageSize: number, tracing: boolean) {
    this.#tracing = tracing
    this.#registry = new FinalizationRegistry(({ frags, label, stack }) => {
      if (frags > 0) reportLeak({ kind: 'frag', pageSize, label, stack })
    })
  }

  /** The first token of a slot, or another one while the first is with frags alone. */
  make(slot: number, handle: number, owner: TokenOwner): Token {
    const before = this.#records[slot]
    const record: UseRecord = {
      handle,
      frags: 0,
      plain: before === undefined && !this.#tracing,
      other: before?.handle === handle ? heldRecord(before) : undefined,
      label: undefined,
      stack: this.#tracing ? applicationStack() : undefined,
    }
    if (before !== undefined) before.plain = false
    const token = new Token(owner, record)
    this.#records[slot] = record
    this.#registry.register(token, record)
    return token
  }

  /** A new use of the slot. */
  begin(slot: number, record: UseRecord, handle: number): void {
    record.handle = handle
    record.other = undefined
    if (this.#records[slot] !== record) this.#records[slot] = record
    if (!this.#tracing) return
    record.label = undefined
    record.stack = applicationStack()
  }

  /** Record of a slot whose memory is in frags under `handle`. */
  held(slot: number, handle: number): UseRecord | undefined {
    const record = this.#records[slot]
    return record?.handle === handle ? heldRecord(record) : undefined
  }

  /** Number of slots whose memory is in frags, dropped ones included. `isOut` tells whether a handle is out. */
  heldSlots(isOut: (handle: number) => boolean): number {
    let held = 0
    for (const record of this.#records) {
      if (record !== undefined && heldRecord(record) !== undefined && isOut(record.handle)) held++
    }
    return held
  }
}
