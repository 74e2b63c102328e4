/** Threads to lend to, for tests. Not published. */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Page } from '../netmem.ts'
import { createFrag } from '../pool/create-frag.ts'
import { createPool } from '../pool/create-pool.ts'
import type { HostFrag } from '../pool/frag.ts'
import type { PoolShare } from '../pool/lent.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { sharedProvider } from '../providers/shared.ts'
import type { Delivery, Job, Receipt } from './borrower.test.worker.ts'
import { some } from './pools.test.helper.ts'

export function startBorrower(share: PoolShare, job: Job['job']): Worker {
  const workerData: Job = { share, job }
  return new Worker(new URL('borrower.test.worker.js', import.meta.url), { workerData })
}

/** Sends a delivery and waits for what the worker makes of it. */
export async function deliver(worker: Worker, delivery: Delivery): Promise<Receipt> {
  worker.postMessage(delivery)
  const [receipt]: Receipt[] = await once(worker, 'message')
  return some(receipt)
}

/** A pool that is shared, of pages of 64 KiB. */
export function lendingPool(
  pages: number,
  lends?: number,
): { pool: PagePool<Page>; share: PoolShare } {
  const pool = createPool(sharedProvider({ pages, pageSize: 64 * 1024 }))
  const share = lends === undefined ? pool.share() : pool.share({ lends })
  return { pool, share }
}

/** A frag of a whole page that begins and ends with `word`, in both of its halves. */
export function writtenFrag(pool: PagePool<Page>, word: number): HostFrag | undefined {
  const page = pool.alloc()
  if (page === undefined) return undefined
  const { buffer, byteOffset } = pool.bytes(page)
  const view = new DataView(buffer, byteOffset, pool.pageSize)
  const half = pool.pageSize / 2
  for (const at of [0, half - 4, half, pool.pageSize - 4]) view.setInt32(at, word)
  return createFrag(pool, page)
}

export { until } from './waiting.test.helper.ts'
