/** The pools of this thread, as the descriptor table has them. */

import { allOwners } from '../netmem.ts'
import { PoolCore } from './pool-core.ts'
import type { PagePoolStats } from './stats.ts'

/** A pool as {@link pools} lists it. */
export interface PoolReport {
  /** Name that `createPool` was given; otherwise `pool 1` and so on. */
  readonly name: string
  readonly kind: 'page' | 'net_iov'
  /** Bytes of each netmem. */
  readonly pageSize: number
  /** Netmem it has at most. */
  readonly capacity: number
  /** True for a pool that waits for memory after `destroy()`. */
  readonly destroyed: boolean
  /** Its counters as they stand. */
  readonly stats: PagePoolStats
}

/**
 * Lists the pools of this thread with their counters, in the order of their handles. A pool that
 * is destroyed, or dropped by its application, is listed while memory of it is out.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider, pools } from 'netmem'
 *
 * const pool = createPool(hostProvider({ pages: 4 }), { name: 'uploads' })
 * for (const { name, stats } of pools()) console.log(name, stats.out)
 * await pool.destroy()
 * ```
 */
export function pools(): PoolReport[] {
  const reports: PoolReport[] = []
  for (const owner of allOwners()) {
    if (!(owner instanceof PoolCore)) continue
    const { name, kind, pageSize, capacity, destroyed } = owner
    reports.push({ name, kind, pageSize, capacity, destroyed, stats: owner.stats() })
  }
  return reports
}
