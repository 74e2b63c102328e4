/** Makes skbs of one kind, and uses freed ones again: receiving makes no garbage. */

import type { NetIov, Netmem, Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { Skb, type SkbPool } from './skb.ts'

/** Cache of skbs of one kind, made by {@link createPageSkbCache} or {@link createNetIovSkbCache}. */
export class SkbCache<in out M extends Netmem> {
  /** Bytes of the linear part of each skb. */
  readonly headBytes: number
  /** @internal Pool of its skbs. */
  readonly pool: SkbPool
  readonly #make: (cache: SkbCache<M>) => Skb<M>
  readonly #free: Skb<M>[] = []

  /** @internal */
  constructor(headBytes: number, pool: SkbPool, make: (cache: SkbCache<M>) => Skb<M>) {
    this.headBytes = headBytes
    this.pool = pool
    this.#make = make
  }

  /** Returns an empty skb. */
  take(): Skb<M> {
    return (this.#free.pop() ?? this.#make(this)).begin()
  }

  /** @internal Called by `free` of its skbs. */
  giveBack(skb: Skb<M>): void {
    this.#free.push(skb)
  }
}

/**
 * Makes a cache of skbs of pages, of a pool of pages or a dual one.
 *
 * @param headBytes Bytes of the linear part of each skb.
 */
export function createPageSkbCache(
  pool: PagePool<Page> | PagePool<Netmem>,
  headBytes: number,
): SkbCache<Page> {
  return new SkbCache<Page>(headBytes, pool, (cache) => new Skb<Page>('page', cache))
}

/**
 * Makes a cache of skbs of net_iovs, of a pool of device memory or a dual one.
 *
 * @param headBytes Bytes of the linear part of each skb.
 */
export function createNetIovSkbCache(
  pool: PagePool<NetIov> | PagePool<Netmem>,
  headBytes: number,
): SkbCache<NetIov> {
  return new SkbCache<NetIov>(headBytes, pool, (cache) => new Skb<NetIov>('net_iov', cache))
}
