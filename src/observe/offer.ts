/** Reports of a process about its pools, as one line of JSON, and the check of another process's reports. */

import { type Fields, isFields } from '../errors.ts'
import type { PoolReport } from '../pool/pools.ts'

/** A pool as another process describes it. */
export interface OfferedPool extends PoolReport {
  /**
   * Milliseconds for which the oldest memory has been out, at least. Exact for a pool with `traceLeaks`.
   * Undefined if no memory is out.
   */
  readonly oldestMs?: number
}

/** Pools of one thread of a process. */
export interface PoolOfferReport {
  /** Process ID. */
  readonly pid: number
  /** Thread of the process: 0 is the main thread. */
  readonly threadId: number
  /** File of its program, without the folder. */
  readonly program: string
  /** Pools in the order of `pools()`. */
  readonly pools: readonly OfferedPool[]
}

const NUMBERS = {
  held: ['cache', 'ring', 'posted', 'sockets', 'application'],
  stats: ['inflight', 'out', 'handles'],
  copied: ['frags', 'bytes', 'bytes_out', 'limit'],
  alloc: ['fast', 'slow', 'slow_high_order', 'empty', 'refill', 'waive'],
  recycle: ['cached', 'cache_full', 'ring', 'ring_full', 'released_refcnt'],
} as const

/** True for an object with a finite number under each name. */
function hasNumbers(value: unknown, names: readonly string[]): value is Fields {
  return isFields(value) && names.every((name) => Number.isFinite(value[name]))
}

function isPool(value: unknown): value is OfferedPool {
  if (!hasNumbers(value, ['pageSize', 'capacity'])) return false
  const { name, kind, destroyed, stats, held, oldestMs } = value
  return (
    typeof name === 'string' &&
    (kind === 'page' || kind === 'net_iov') &&
    typeof destroyed === 'boolean' &&
    (oldestMs === undefined || Number.isFinite(oldestMs)) &&
    hasNumbers(held, NUMBERS.held) &&
    hasNumbers(stats, NUMBERS.stats) &&
    hasNumbers(stats['copied'], NUMBERS.copied) &&
    hasNumbers(stats['alloc'], NUMBERS.alloc) &&
    hasNumbers(stats['recycle'], NUMBERS.recycle)
  )
}

function isReport(value: unknown): value is PoolOfferReport {
  return (
    hasNumbers(value, ['pid', 'threadId']) &&
    typeof value['program'] === 'string' &&
    Array.isArray(value['pools']) &&
    value['pools'].every(isPool)
  )
}

/** Parses the description of another process. Returns undefined for other text. */
export function parseOffer(text: string): PoolOfferReport | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isReport(value) ? value : undefined
  } catch {
    return undefined
  }
}
