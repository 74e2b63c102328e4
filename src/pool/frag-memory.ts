/**
 * References of a pool's memory that are in frags, and the rest of the page that frags were cut
 * from last.
 */

import { indexOf } from '../netmem.ts'
import type { FragAccount } from './frag-account.ts'
import { type Lender, notShared } from './lender.ts'
import type { Borrower, Lent } from './lent.ts'
import type { SlotStates } from './slot-states.ts'
import {
  closeTokens,
  heldReferences,
  openTokens,
  restingTokens,
  type Token,
  type TokenOwner,
  type Tokens,
} from './tokens.ts'

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
  /** Undefined before the pool is shared. */
  lender: Lender | undefined
  #rest: Rest | undefined

  constructor(pool: PoolOfFrags, slots: SlotStates, tokens: Tokens) {
    this.pool = pool
    this.slots = slots
    this.tokens = tokens
    openTokens(slots.base, slots.state.length)
  }

  hold(handle: number): Token {
    const slot = this.pool.check(handle)
    let token = restingTokens[indexOf(handle)]
    if (token === undefined) {
      token = this.tokens.make(slot, handle, this)
      restingTokens[indexOf(handle)] = token
    }
    const { record } = token
    if (record.handle !== handle) this.tokens.begin(slot, record, handle)
    record.frags++
    this.#settle(slot, handle)
    return token
  }

  drop(handle: number, token: Token): void {
    this.takeBack(handle, token)
    this.pool.put(handle, true)
  }

  share(handle: number, token: Token): void {
    this.pool.retain(handle, 1)
    restingTokens[indexOf(handle)] ??= token
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

  /** Forgets the tokens: another pool may claim the slots. */
  close(): void {
    closeTokens(this.slots.base, this.slots.state.length)
  }

  /** A frag has ended, and its reference is bare again. */
  takeBack(handle: number, token: Token): void {
    token.record.frags--
    if (this.slots.state[this.slots.slot(handle)] === handle) restingTokens[indexOf(handle)] = token
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

  /** Keeps the token of memory with several references, one of which is in no frag now. */
  #restsShared(handle: number, token: Token): void {
    if (this.slots.isOut(handle)) restingTokens[indexOf(handle)] ??= token
  }

  /** Leaves the token to frags alone once they have all references. */
  #settle(slot: number, handle: number): void {
    const token = restingTokens[indexOf(handle)]
    if (token === undefined || this.#rest?.handle === handle) return
    const held = heldReferences(token.record, handle)
    if (held === this.slots.references(slot)) restingTokens[indexOf(handle)] = undefined
  }
}
