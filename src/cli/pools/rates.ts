/** Counters of pools, and their rates between two looks. */

import type { PagePoolCounters, PoolOfferReport } from '../../observe/index.ts'
import type { Look } from './look.ts'

const ALLOC = ['fast', 'slow', 'slow_high_order', 'empty', 'refill', 'waive'] as const
const RECYCLE = ['cached', 'cache_full', 'ring', 'ring_full', 'released_refcnt'] as const

/** Names of the eleven counters, in the kernel's order. */
export const COUNTERS: readonly string[] = [...ALLOC, ...RECYCLE]

/** Counters of a pool in the order of {@link COUNTERS}. */
export interface CountedPool {
  /** Name of the pool in the tables, the same at each look. */
  readonly label: string
  readonly values: readonly number[]
}

/** Returns the counters of all pools that have some. */
export function countersOf({ kernel, processes }: Look): CountedPool[] {
  const ofKernel =
    kernel.kind === 'listed'
      ? kernel.pools.flatMap(({ id, counters }) => counted(`kernel ${id}`, counters))
      : []
  const ofProcesses = processes.flatMap((offer) =>
    offer.kind === 'process'
      ? offer.pools.flatMap(({ name, stats }) => counted(`${processLabel(offer)} ${name}`, stats))
      : [],
  )
  return distinct([...ofKernel, ...ofProcesses])
}

/** Numbers pools of the same name in one process. */
function distinct(pools: readonly CountedPool[]): CountedPool[] {
  const seen = new Map<string, number>()
  return pools.map(({ label, values }) => {
    const number = (seen.get(label) ?? 0) + 1
    seen.set(label, number)
    return { label: number === 1 ? label : `${label} (${number})`, values }
  })
}

/** Returns a text such as `4711`, or `4711/2` for a worker. */
export function processLabel({ pid, threadId }: Pick<PoolOfferReport, 'pid' | 'threadId'>): string {
  return threadId === 0 ? String(pid) : `${pid}/${threadId}`
}

/** Returns the counts of each second between two looks, of the pools that were there at both. */
export function ratesBetween(before: Look, now: Look): CountedPool[] {
  const seconds = (now.atMs - before.atMs) / 1000
  const known = new Map(countersOf(before).map(({ label, values }) => [label, values]))
  return countersOf(now).flatMap(({ label, values }) => {
    const first = known.get(label)
    if (first === undefined) return []
    return [{ label, values: values.map((value, at) => (value - (first[at] ?? 0)) / seconds) }]
  })
}

function counted(label: string, counters: PagePoolCounters | undefined): CountedPool[] {
  if (counters === undefined) return []
  const { alloc, recycle } = counters
  const values = [...ALLOC.map((name) => alloc[name]), ...RECYCLE.map((name) => recycle[name])]
  return [{ label, values }]
}
