/**
 * Tokens: what frags and skbs hold of their memory beside its handle, so that memory which is
 * dropped with them can be reported. A handle is an integer, which no collector sees.
 *
 * Each slot has one token. The pool holds it while the memory rests, and while there are
 * references that are in no frag and no skb. Once frags and skbs have all references, they alone
 * hold the token: if it is collected, so were all who could have given the memory back. So there
 * is one registry entry a slot, made once: an entry a frag would cost a microsecond each and a
 * major collection every 10⁵.
 */

import type { HandleOwner } from '../netmem.ts'
import { applicationStack } from './application-stack.ts'
import type { FragAccount } from './frag-account.ts'
import { reportLeak } from './leaks.ts'
import type { Borrower, Lent } from './lender.ts'

/** Record of one use of a slot. Holds no frag and no token, so that both can be collected. */
export interface UseRecord {
  /** The handle the memory went out under. */
  handle: number
  /** True while it is out, for receivers that keep tokens beside handles. */
  out: boolean
  /** References that are in frags. */
  frags: number
  /** References that are in skbs. */
  skbFrags: number
  /** Another record of the same use, whose token frags alone held when this one was made. */
  other: UseRecord | undefined
  /** With `traceLeaks`: from whom, and where the application received it. */
  label: string | undefined
  stack: string | undefined
}

/** The pool of a token's memory: what moves references into frags and skbs, and out of them. */
export interface TokenOwner extends HandleOwner {
  /** Moves a bare reference into a frag or an skb: 1 is added to that count of the token's record. */
  hold(handle: number, frags: number, skbFrags: number): Token
  /** Makes a held reference a bare one again. */
  loosen(handle: number, token: Token, frags: number, skbFrags: number): void
  /** Gives a held reference back. */
  drop(handle: number, token: Token, frags: number, skbFrags: number): void
  /** Adds a bare reference to held memory. */
  share(handle: number, token: Token): void
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

/** Held by the frags and skbs of its memory; outlives none of them. */
export class Token {
  // Declared: fields that the class made would be `undefined` first, and be checked at each use.
  declare readonly owner: TokenOwner
  declare readonly record: UseRecord
  /** Uses of the slot in which frags or skbs had its memory. */
  uses = 0

  constructor(owner: TokenOwner, record: UseRecord) {
    this.owner = owner
    this.record = record
  }
}

/** References that frags and skbs have, in the use of the slot under `handle`. */
export function heldReferences(record: UseRecord, handle: number): number {
  let held = 0
  for (let of: UseRecord | undefined = record; of !== undefined; of = of.other) {
    if (of.handle === handle) held += of.frags + of.skbFrags
  }
  return held
}

/** The record of this use that frags or skbs belong to, if any. */
function heldRecord(record: UseRecord): UseRecord | undefined {
  let held: UseRecord | undefined = record
  while (held !== undefined && held.frags + held.skbFrags === 0) held = held.other
  return held
}

/** The tokens of one pool. */
export class Tokens {
  readonly #tracing: boolean
  /** Of each slot that ever had a token. */
  readonly #records: (UseRecord | undefined)[] = []
  readonly #registry: FinalizationRegistry<UseRecord>

  constructor(pageSize: number, tracing: boolean) {
    this.#tracing = tracing
    this.#registry = new FinalizationRegistry(({ frags, skbFrags, label, stack }) => {
      if (frags + skbFrags === 0) return
      reportLeak({ kind: skbFrags > 0 ? 'skb' : 'frag', pageSize, label, stack })
    })
  }

  /** The first token of a slot, or another one while the first is with frags alone. */
  make(slot: number, handle: number, owner: TokenOwner): Token {
    const before = this.#records[slot]
    const record: UseRecord = {
      handle,
      out: true,
      frags: 0,
      skbFrags: 0,
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

  /** The record of a slot, where frags or skbs have its memory under `handle`. */
  held(slot: number, handle: number): UseRecord | undefined {
    const record = this.#records[slot]
    return record?.handle === handle ? heldRecord(record) : undefined
  }

  /** Number of slots whose memory is with frags and skbs, dropped ones included; `isOut` tells whether a handle is out. */
  heldSlots(isOut: (handle: number) => boolean): number {
    let held = 0
    for (const record of this.#records) {
      if (record !== undefined && heldRecord(record) !== undefined && isOut(record.handle)) held++
    }
    return held
  }
}
