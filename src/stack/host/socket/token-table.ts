/**
 * Tokens of a socket. Each holds one reference to a net_iov. As in the kernel, a token is the lowest free
 * number from 1, of 31 bits.
 */

import { type NetIov, release } from '../../../netmem.ts'
import { LowestFree } from './lowest-free.ts'

/** Largest number of tokens of a socket. */
export const MAX_TOKENS: number = 2 ** 31 - 1

export class TokenTable {
  readonly #limit: number
  readonly #free: LowestFree
  // Columns by token, so that minting allocates no objects.
  readonly #iovs: (NetIov | undefined)[] = []
  readonly #serials: number[] = []
  #size = 0

  /** @param limit Largest number of tokens at once: 0 to {@link MAX_TOKENS}. */
  constructor(limit: number) {
    this.#limit = limit
    this.#free = new LowestFree(limit)
  }

  /** Tokens that are out. */
  get size(): number {
    return this.#size
  }

  /** True while no token can be minted. */
  get full(): boolean {
    return this.#size === this.#limit
  }

  /** Returns the lowest free token, which takes over a reference. The table must not be {@link full}. */
  mint(iov: NetIov): number {
    const token = this.#free.take() + 1
    // The columns have no holes, and begin with token 0, which has no memory.
    for (let at = this.#serials.length; at <= token; at++) {
      this.#iovs[at] = undefined
      this.#serials[at] = 0
    }
    this.#iovs[token] = iov
    this.#size++
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
    this.#serials[token] = (this.#serials[token] ?? 0) + 1
    this.#size--
    this.#free.giveBack(token - 1)
    release(iov)
    return true
  }

  /** Frees all tokens. */
  clear(): void {
    for (let token = 1; token < this.#serials.length && this.#size > 0; token++) this.free(token)
  }
}
