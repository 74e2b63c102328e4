/** The only ways to a pool. */

import { ArgumentTypeError, type OptionNames, ownOptions } from '../errors.ts'
import type { NetIov, Netmem, Page } from '../netmem.ts'
import {
  type AnyProvider,
  checkProvider,
  type NetIovProvider,
  type PageProvider,
} from './memory-provider.ts'
import { PagePool } from './page-pool.ts'
import { PoolCore } from './pool-core.ts'
import { TracedCore } from './traced-core.ts'

/** Options of `createPool` and `dualPool`. */
export interface PagePoolOptions {
  /** Name of the pool in the list of `pools()`. Default: `pool 1` and so on. */
  readonly name?: string
  /** Slots of the recycle ring: 1 to 16384, rounded up to a power of two. Default: 1024. */
  readonly ringSize?: number
  /**
   * Keeps, for reports, where the application received each frag and allocated each handle, and from
   * which peer. Costs tens of microseconds per frag. Default: off.
   */
  readonly traceLeaks?: boolean
}

const NAMES: OptionNames<PagePoolOptions> = { name: true, ringSize: true, traceLeaks: true }

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

/** Pools of this thread so far, for their names. */
let made = 0

function openCore(provider: AnyProvider, options: PagePoolOptions): PoolCore {
  checkProvider(provider)
  const { name, ringSize, traceLeaks = false } = ownOptions('createPool()', options, NAMES)
  if (name !== undefined && typeof name !== 'string') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `The name of a pool is a string, not ${typeof name}.`,
    )
  }
  const Core = traceLeaks ? TracedCore : PoolCore
  return new Core(provider, name ?? `pool ${++made}`, ringSize, traceLeaks)
}
