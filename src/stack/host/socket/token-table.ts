/**
 * What a socket's tokens stand for: one reference to a net_iov each. Numbers as the kernel gives
 * them: the lowest that is free, from 1, of 31 bits.
 */

import type { NetIov } from '../../../netmem.ts'
import type { FragOwner } from '../../../pool/frag.ts'
import type { Keeper } from '../../../pool/frag-ledger.ts'
import { LowestFree } from './lowest-free.ts'

/** Tokens that a socket has at most. */
export const MAX_TOKENS: number = 2 ** 31 - 1

export class TokenTable {
  readonly #limit: number
  readonly #free: LowestFree
  // By token; columns instead of objects, so that minting makes none.
  readonly #iovs: NetIov[] = []
  readonly #keepers: (Keeper | undefined)[] = []
  readonly #owners: (FragOwner<NetIov> | undefined)[] = []
  readonly #serials: number[] = []
  #size = 0

  /** At most `limit` tokens at once: 0 to {@link MAX_TOKENS}. */
  constructor(limit: number) {
    this.#limit = limit
    this.#free = new LowestFree(limit)
  }

  /** Tokens that are out. */
  get size(): number {
    return this.#size
  }

  get full(): boolean {
    return this.#size === this.#limit
  }

  /** The lowest free token, which takes over a reference; only while the table is not {@link full}. */
  mint(iov: NetIov, keeper: Keeper, owner: FragOwner<NetIov>): number {
    const token = this.#free.take() + 1
    // From the front on, without holes: token 0 stands for none.
    for (let at = this.#serials.length; at <= token; at++) {
      this.#iovs[at] = iov
      this.#keepers[at] = undefined
      this.#owners[at] = undefined
      this.#serials[at] = 0
    }
    this.#iovs[token] = iov
    this.#keepers[token] = keeper
    this.#owners[token] = owner
    this.#size++
    keeper.record.frags++
    return token
  }

  /** Which use of its number a token is: changes when it is freed. */
  serial(token: number): number {
    return this.#serials[token] ?? -1
  }

  /** Gives back what a token stands for; false where there is no such token. */
  free(token: number): boolean {
    const iov = this.#iovs[token]
    const keeper = this.#keepers[token]
    const owner = this.#owners[token]
    if (iov === undefined || keeper === undefined || owner === undefined) return false
    this.#keepers[token] = undefined
    this.#owners[token] = undefined
    this.#serials[token] = (this.#serials[token] ?? 0) + 1
    this.#size--
    this.#free.giveBack(token - 1)
    keeper.record.frags--
    owner.putFrag(iov, keeper)
    return true
  }

  /** Frees all of them; returns how many. */
  clear(): number {
    let freed = 0
    for (let token = 1; token < this.#serials.length && this.#size > 0; token++) {
      if (this.free(token)) freed++
    }
    return freed
  }
}
