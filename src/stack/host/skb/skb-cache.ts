/** Makes caches of skbs: of pages, and of net_iovs. */

import type { NetIov, Netmem, Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { SkbCache } from './skb.ts'

/**
 * Makes a cache of skbs of pages, of a pool of pages or a dual one.
 *
 * @param headBytes Bytes of the linear part of each skb.
 */
export function createPageSkbCache(
  pool: PagePool<Page> | PagePool<Netmem>,
  headBytes: number,
): SkbCache<Page> {
  return new SkbCache<Page>('page', headBytes, pool)
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
  return new SkbCache<NetIov>('net_iov', headBytes, pool)
}
