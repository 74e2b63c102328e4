/** The only ways to a pool. */

import type { NetIov, Netmem, Page } from '../netmem.ts'
import type { NetIovProvider, PageProvider } from './memory-provider.ts'
import { openCore, type PagePoolOptions } from './open-core.ts'
import { PagePool } from './page-pool.ts'

/**
 * Makes a pool of what `provider` has: pages or net_iovs. A provider serves one pool at a time.
 *
 * @throws NETMEM_PROVIDER_BUSY while another pool has the provider.
 * @throws NETMEM_OUT_OF_RANGE when the thread's other pools have left too few handles.
 * @throws NETMEM_OUT_OF_RANGE, NETMEM_INVALID_ARGUMENT for wrong options and wrong providers.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider, type Page, type PagePool } from 'netmem'
 *
 * const pool: PagePool<Page> = createPool(hostProvider({ pages: 8 }))
 * ```
 */
export function createPool(provider: PageProvider, options?: PagePoolOptions): PagePool<Page>
export function createPool(provider: NetIovProvider, options?: PagePoolOptions): PagePool<NetIov>
export function createPool(
  provider: PageProvider | NetIovProvider,
  options: PagePoolOptions = {},
): PagePool<Page> | PagePool<NetIov> {
  const core = openCore(provider, options)
  return core.kind === 'page' ? new PagePool<Page>(core) : new PagePool<NetIov>(core)
}

/**
 * Makes the payload pool of a driver that handles both kinds of memory, from a provider of either kind.
 * Its handles have to be narrowed before use.
 *
 * @throws as {@link createPool} does.
 *
 * @example
 * ```ts
 * import { dualPool, hostProvider, isPage } from 'netmem'
 *
 * const pool = dualPool(hostProvider({ pages: 8 }))
 * const m = pool.alloc()
 * if (m !== undefined) {
 *   if (isPage(m)) console.log(pool.bytes(m).length)
 *   pool.put(m)
 * }
 * ```
 */
export function dualPool(
  provider: PageProvider | NetIovProvider,
  options: PagePoolOptions = {},
): PagePool<Netmem> {
  return new PagePool<Netmem>(openCore(provider, options))
}
