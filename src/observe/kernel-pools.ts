/** The kernel's page pools: netlink's pools, counters, queues and interfaces, put together. */

import { uptime } from 'node:os'
import { netdev } from '../linux/netlink/generated/netdev.ts'
import type {
  NetdevPagePool,
  NetdevPagePoolStats,
} from '../linux/netlink/generated/netdev-types.ts'
import { rtLink } from '../linux/netlink/generated/rt-link.ts'
import type { Netlink } from '../linux/netlink/netlink.ts'
import { unlessUnsupported } from '../linux/unless-unsupported.ts'
import type { PagePoolStats } from '../pool/stats.ts'

/** The eleven counters of a pool, under the kernel's names. */
export type PagePoolCounters = Pick<PagePoolStats, 'alloc' | 'recycle'>

/** Memory of a kernel's pool. */
export type KernelPoolMemory =
  | { readonly kind: 'pages' }
  /** Device memory, by the number of its binding. */
  | {
      readonly kind: 'dmabuf'
      /** Number of the binding, as `bindRx()` returns it. */
      readonly binding: number
    }
  /** Memory of io_uring's zero-copy receive. */
  | { readonly kind: 'io_uring' }

/** Interface of a pool. */
export interface KernelPoolInterface {
  /** Number of the interface in its network namespace. */
  readonly index: number
  /** Name of the interface, such as `eth0`. */
  readonly name: string
}

/** A page pool of the kernel. */
export interface KernelPool {
  /** The kernel's number for it. */
  readonly id: number
  /** Interface of the pool, or undefined if that is gone: the pool then waits for its memory. */
  readonly interface: KernelPoolInterface | undefined
  /** RX queues that it serves, by its NAPI instance or its binding. Empty where the kernel does not say. */
  readonly queues: readonly number[]
  /**
   * Netmem that the pool has taken from the kernel's allocator: in rings, sockets and applications, and
   * ready in the pool.
   */
  readonly inflight: number
  /** Bytes of these. */
  readonly inflightBytes: number
  /**
   * Seconds since the driver gave it up, or undefined while it serves. It ends when its last memory
   * comes back. The kernel's log warns of a stalled pool shutdown only for pools that are not listed.
   */
  readonly detachedSeconds: number | undefined
  /** Kind of its memory. */
  readonly memory: KernelPoolMemory
  /** Counters, or undefined if the kernel was built without CONFIG_PAGE_POOL_STATS. */
  readonly counters: PagePoolCounters | undefined
}

/** The kernel's page pools at one time. */
export interface KernelPools {
  /** Pools in the kernel's order. */
  readonly pools: readonly KernelPool[]
  /** True if the kernel counts what its pools do. */
  readonly counts: boolean
  /** True if pools came and went while they were listed: one may be missing. */
  readonly interrupted: boolean
}

/**
 * Lists the page pools of the kernel. The kernel lists only pools that a driver has tied to an interface
 * of the client's network namespace.
 *
 * @param netlink client of `openNetlink()`.
 * @returns The pools, of which there may be none.
 * @throws As `netlink.dump()`, as a rejection. NETMEM_NETLINK_NO_FAMILY or NETMEM_NETLINK_REFUSED with
 *   EOPNOTSUPP is a kernel before 6.8, or one that was built without CONFIG_PAGE_POOL.
 *
 * @example
 * ```ts
 * import { openNetlink } from 'netmem/linux'
 * import { kernelPools } from 'netmem/observe'
 *
 * using netlink = await openNetlink()
 * for (const { interface: of, queues, inflight } of (await kernelPools(netlink)).pools) {
 *   console.log(of?.name, queues, inflight)
 * }
 * ```
 */
export async function kernelPools(netlink: Netlink): Promise<KernelPools> {
  const pools = await netlink.dump(netdev, 'page-pool-get')
  // A kernel that does not count has no such operation.
  const stats = await unlessUnsupported(netlink.dump(netdev, 'page-pool-stats-get'))
  const queues = await netlink.dump(netdev, 'queue-get')
  const links = await netlink.dump(rtLink, 'getlink')
  const names = new Map(links.replies.map((link) => [link['ifi-index'], link.ifname]))
  const statsById = new Map(stats?.replies.map((each) => [each.info.id, each]))

  const queuesOf = ({ ifindex, dmabuf, 'napi-id': napi }: NetdevPagePool): number[] =>
    queues.replies
      .filter((queue) => queue.type === 'rx' && queue.ifindex === ifindex)
      .filter((queue) =>
        napi === undefined
          ? dmabuf !== undefined && queue.dmabuf === dmabuf
          : queue['napi-id'] === napi,
      )
      .map((queue) => queue.id)

  return {
    pools: pools.replies.map((pool) => ({
      id: pool.id,
      interface: interfaceOf(pool.ifindex, names),
      queues: queuesOf(pool),
      inflight: Number(pool.inflight ?? 0),
      inflightBytes: Number(pool['inflight-mem'] ?? 0),
      detachedSeconds: secondsSince(pool['detach-time']),
      memory: memoryOf(pool),
      counters: countersOf(statsById.get(pool.id)),
    })),
    counts: stats !== undefined,
    interrupted: pools.interrupted || queues.interrupted || stats?.interrupted === true,
  }
}

function interfaceOf(
  index: number | undefined,
  names: ReadonlyMap<number, string>,
): KernelPool['interface'] {
  if (index === undefined) return undefined
  return { index, name: names.get(index) ?? `interface ${index}` }
}

/** @param boot Seconds since the machine started (CLOCK_BOOTTIME), as `os.uptime()` has them. */
function secondsSince(boot: bigint | undefined): number | undefined {
  return boot === undefined ? undefined : Math.max(0, Math.round(uptime() - Number(boot)))
}

function memoryOf(pool: NetdevPagePool): KernelPoolMemory {
  if (pool.dmabuf !== undefined) return { kind: 'dmabuf', binding: pool.dmabuf }
  return pool['io-uring'] === undefined ? { kind: 'pages' } : { kind: 'io_uring' }
}

function countersOf(stats: NetdevPagePoolStats | undefined): PagePoolCounters | undefined {
  if (stats === undefined) return undefined
  return {
    alloc: {
      fast: Number(stats['alloc-fast'] ?? 0),
      slow: Number(stats['alloc-slow'] ?? 0),
      slow_high_order: Number(stats['alloc-slow-high-order'] ?? 0),
      empty: Number(stats['alloc-empty'] ?? 0),
      refill: Number(stats['alloc-refill'] ?? 0),
      waive: Number(stats['alloc-waive'] ?? 0),
    },
    recycle: {
      cached: Number(stats['recycle-cached'] ?? 0),
      cache_full: Number(stats['recycle-cache-full'] ?? 0),
      ring: Number(stats['recycle-ring'] ?? 0),
      ring_full: Number(stats['recycle-ring-full'] ?? 0),
      released_refcnt: Number(stats['recycle-released-refcnt'] ?? 0),
    },
  }
}
