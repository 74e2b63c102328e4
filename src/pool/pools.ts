/** The pools of this thread, as the descriptor table has them. */

import { allOwners, mint, type Netmem } from '../netmem.ts'
import { type UseCount, usesBelow } from './memory-users.ts'
import { coreOf, PoolCore } from './pool-core.ts'
import type { PagePoolStats } from './stats.ts'

/** Holders of a pool's memory, in netmem. Their sum is `inflight`. */
export interface PoolHolders {
  /** Ready in the cache. */
  readonly cache: number
  /** Ready in the ring. */
  readonly ring: number
  /** Memory that drivers have posted to sockets or NICs. */
  readonly posted: number
  /** Received, and queued in sockets until the application takes it. */
  readonly sockets: number
  /** Rest: the application has a frag or a handle of it, or has lent it to a thread. */
  readonly application: number
}

/** A pool as {@link pools} lists it. */
export interface PoolReport {
  /** Name that `createPool` was given. Default: `pool 1` and so on. */
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
  /** Holders of its memory as they stand. */
  readonly held: PoolHolders
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
  const below = heldBelow()
  return poolCores().map((core) => {
    const { name, kind, pageSize, capacity, destroyed } = core
    // First, since it takes in what other threads have returned.
    const stats = core.stats()
    const { posted, sockets } = below.get(core) ?? { posted: 0, sockets: 0 }
    const held = { ...core.resting, posted, sockets, application: stats.out - posted - sockets }
    return { name, kind, pageSize, capacity, destroyed, stats, held }
  })
}

/** Pools of this thread, in the order of their handles. */
export function poolCores(): PoolCore[] {
  return [...allOwners()].filter((owner) => owner instanceof PoolCore)
}

/** Counts the netmem that drivers and sockets hold, and no application. */
function heldBelow(): Map<PoolCore, UseCount> {
  const counts = new Map<PoolCore, UseCount>()
  for (const [handle, { posted, sockets }] of usesBelow()) {
    const core = coreOf(mint<Netmem>(handle))
    if (core.references(handle) > posted + sockets) continue
    const count = counts.get(core) ?? { posted: 0, sockets: 0 }
    if (sockets > 0) count.sockets++
    else count.posted++
    counts.set(core, count)
  }
  return counts
}
