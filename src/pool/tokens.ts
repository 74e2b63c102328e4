/**
 * Tokens of frags: a frag that is dropped without release() is reported when its token is
 * collected. A handle is an integer, which no collector sees.
 *
 * Each slot has one token. The pool holds it while the memory rests, and while there are
 * references that are in no frag. Once frags have all references, they alone hold the token: its
 * collection means that no frag is left which could give the memory back. There is one registry
 * entry a slot, made once: one a frag would cost a microsecond and a major collection every 10⁵.
 */

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
      other: before?.handle === handle ? heldRecord(before) : undefined,
      label: undefined,
      stack: this.#tracing ? applicationStack() : undefined,
    }
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
