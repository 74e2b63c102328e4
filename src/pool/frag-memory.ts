/**
 * References of a pool's memory that are in frags, and the rest of the page that frags were cut
 * from last.
 */

import type { FragAccount } from './frag-account.ts'
import { type Lender, notShared } from './lender.ts'
import type { Borrower, Lent } from './lent.ts'
import type { SlotStates } from './slot-states.ts'
import { heldReferences, type Token, type TokenOwner, type Tokens } from './tokens.ts'

/** Rest of a partly filled page. */
export interface Rest {
  readonly handle: number
  readonly offset: number
}

/** Pool of the frags, besides its slots. */
interface PoolOfFrags {
  put(handle: number, allowDirect: boolean): void
  retain(handle: number, count: number): void
  /** Returns the slot of a handle that is out. Throws for every other value. */
  check(handle: number): number
  readonly pageSize: number
  readonly destroyed: boolean
}

export class FragMemory implements TokenOwner {
  // Declared: fields that the class made would be `undefined` first, and be checked at each use.
  declare readonly pool: PoolOfFrags
  declare readonly slots: SlotStates
  declare readonly tokens: Tokens
  /** Token of each slot that rests, or has references in no frag. */
  declare readonly resting: (Token | undefined)[]
  /** Undefined before the pool is shared. */
  lender: Lender | undefined
  #rest: Rest | undefined

  constructor(pool: PoolOfFrags, slots: SlotStates, tokens: Tokens) {
    this.pool = pool
    this.slots = slots
    this.tokens = tokens
    this.resting = []
  }

  hold(handle: number): Token {
    const { slots, resting } = this
    const slot = slots.slot(handle)
    const token = resting[slot]
    // The only reference of memory that has a token: the page of a received frag.
    if (token !== undefined && slots.state[slot] === handle) {
      resting[slot] = undefined
      const { record } = token
      if (record.handle !== handle) this.tokens.begin(slot, record, handle)
      record.frags++
      return token
    }
    return this.#holdSlow(handle)
  }

  drop(handle: number, token: Token): void {
    this.takeBack(handle, token)
    this.pool.put(handle, true)
  }

  share(handle: number, token: Token): void {
    this.pool.retain(handle, 1)
    this.resting[this.slots.slot(handle)] ??= token
  }

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
    return this.lender.lend(handle, token, at, length, borrower, account)
  }

  makeRoom(): void {
    this.lender?.makeRoom()
  }

  /** A frag has ended, and its reference is bare again. */
  takeBack(handle: number, token: Token): void {
    token.record.frags--
    const slot = this.slots.slot(handle)
    if (this.slots.state[slot] === handle) this.resting[slot] = token
    else this.#restsShared(handle, token)
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

  #holdSlow(handle: number): Token {
    const slot = this.pool.check(handle)
    let token = this.resting[slot]
    if (token === undefined) {
      token = this.tokens.make(slot, handle, this)
      this.resting[slot] = token
    }
    const { record } = token
    if (record.handle !== handle) this.tokens.begin(slot, record, handle)
    record.frags++
    this.#settle(slot, handle)
    return token
  }

  /** Keeps the token of memory with several references, one of which is in no frag now. */
  #restsShared(handle: number, token: Token): void {
    if (this.slots.isOut(handle)) this.resting[this.slots.slot(handle)] ??= token
  }

  /** Leaves the token to frags alone once they have all references. */
  #settle(slot: number, handle: number): void {
    const token = this.resting[slot]
    if (token === undefined || this.#rest?.handle === handle) return
    const held = heldReferences(token.record, handle)
    if (held === this.slots.references(slot)) this.resting[slot] = undefined
  }
}
