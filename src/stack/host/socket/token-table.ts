/**
 * Tokens of a socket. Each holds one reference to a net_iov. As in the kernel, a token is the lowest free
 * number from 1, of 31 bits.
 */

import { type NetIov, release } from '../../../netmem.ts'

/** Largest number of tokens of a socket. */
export const MAX_TOKENS: number = 2 ** 31 - 1

export class TokenTable {
  readonly #limit: number
  // Columns by token, so that minting allocates no objects. Token 0 is never minted.
  readonly #iovs: (NetIov | undefined)[] = [undefined]
  readonly #serials: number[] = [0]
  /** One bit for each token, 1 while it is free. That of token 0 is never set. */
  #free: Int32Array = new Int32Array(32).fill(-1).fill(-2, 0, 1)
  /** Words of `#free` before this one are 0: the search for the lowest bit begins here. */
  #firstFree = 0
  /** Tokens that are out. */
  size = 0

  /** @param limit Largest number of tokens at once: 0 to {@link MAX_TOKENS}. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** True while no token can be minted. */
  get full(): boolean {
    return this.size === this.#limit
  }

  /** Returns the lowest free token, which takes over a reference. The table must not be {@link full}. */
  mint(iov: NetIov): number {
    while (this.#free[this.#firstFree] === 0) this.#firstFree++
    if (this.#firstFree === this.#free.length) this.#grow()
    const bits = this.#free[this.#firstFree] ?? 0
    const lowest = bits & -bits
    this.#free[this.#firstFree] = bits ^ lowest
    const token = 32 * this.#firstFree + 31 - Math.clz32(lowest)
    // Lower tokens were all minted before, so the columns have no holes.
    this.#iovs[token] = iov
    this.#serials[token] ??= 0
    this.size++
    return token
  }

  /** Returns a number that changes when the token is freed. It distinguishes the uses of a token. */
  serial(token: number): number {
    return this.#serials[token] ?? -1
  }

  /** Gives the reference of a token back. Returns false if there is no such token. */
  free(token: number): boolean {
    const iov = this.#iovs[token]
    if (iov === undefined) return false
    this.#iovs[token] = undefined
    this.#serials[token] = this.serial(token) + 1
    this.size--
    const word = token >>> 5
    this.#free[word] = (this.#free[word] ?? 0) | (1 << (token & 31))
    this.#firstFree = Math.min(this.#firstFree, word)
    release(iov)
    return true
  }

  /** Frees all tokens. */
  clear(): void {
    for (let token = 1; token < this.#iovs.length && this.size > 0; token++) this.free(token)
  }

  #grow(): void {
    const longer = new Int32Array(2 * this.#free.length).fill(-1)
    longer.set(this.#free)
    this.#free = longer
  }
}
