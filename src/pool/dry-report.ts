/** The report of a pool that stays dry: `netmem:dry` on `node:diagnostics_channel`, or one warning. */

import type { Page } from '../netmem.ts'
import { describeHandles, describeHolders, type Holder, publish } from './leaks.ts'
import type { PagePool } from './page-pool.ts'

/** No memory came back to a pool for a second or more, and connections waited for it all the time. */
export interface DryReport {
  /** Bytes of each page. */
  readonly pageSize: number
  /** Pages of the pool. */
  readonly capacity: number
  /** Pages that the application holds. */
  readonly out: number
  /** Number of them in no frag: of `alloc()`, posted by a driver, or in an skb. */
  readonly handles: number
  /** Bytes of copied frags that the application holds. */
  readonly copiedBytes: number
  /** Time since which no memory has come back. */
  readonly since: Date
  /** Connections that wait for memory. */
  readonly waiting: number
  /** Holders of the memory, the longest first. Empty unless the pool was made with `traceLeaks`. */
  readonly holders: readonly Holder[]
}

/**
 * Reports that `waiting` connections have waited since `since`. `warns` is true if the channel has no
 * subscribers.
 */
export function reportDry(
  pool: PagePool<Page>,
  waiting: number,
  since: Date,
  warns: boolean,
): void {
  const { pageSize, capacity } = pool
  const { out, handles, copied } = pool.stats()
  const report: DryReport = {
    pageSize,
    capacity,
    out,
    handles,
    copiedBytes: copied.bytes_out,
    since,
    waiting,
    holders: pool.holders(),
  }
  publish('netmem:dry', report, warns ? describe(report) : undefined)
}

function describe(report: DryReport): string {
  const { pageSize, capacity, out, handles, copiedBytes, since, waiting, holders } = report
  const who = waiting === 1 ? 'A connection waits' : `${waiting} connections wait`
  const where =
    holders.length === 0
      ? 'Make the pool with { traceLeaks: true } to learn who holds them.'
      : `The oldest:\n${describeHolders(holders)}`
  return `${who} for memory since ${since.toISOString()}, and none has come back: ${out} of ${capacity} pages of ${pageSize} bytes and ${copiedBytes} bytes of copies are held.${describeHandles(handles)} Release frags, or make the pool larger. ${where}`
}
