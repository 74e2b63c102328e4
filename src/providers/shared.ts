/** Pages in a SharedArrayBuffer, which other threads can read. */

import type { PageProvider } from '../pool/memory-provider.ts'
import { alignedSharedBuffer } from './aligned-memory.ts'
import { allocate, checkLayout, type PageLayout, pagesOver } from './page-layout.ts'

/**
 * Provides pages that threads can share: see `PagePool.share`. A pool that is not shared
 * costs what a host pool does.
 *
 * @throws as `hostProvider` does.
 *
 * @example
 * ```ts
 * import { Worker } from 'node:worker_threads'
 * import { createPool, sharedProvider } from 'netmem'
 *
 * const pool = createPool(sharedProvider({ pages: 64 }))
 * const worker = new Worker('import("node:worker_threads")', { eval: true, workerData: pool.share() })
 * await worker.terminate()
 * ```
 */
export function sharedProvider(layout: PageLayout): PageProvider {
  const checked = checkLayout('sharedProvider()', layout)
  const buffer = allocate(checked, alignedSharedBuffer)
  const { pageSize } = checked
  const view = (slot: number): Uint8Array => new Uint8Array(buffer, slot * pageSize, pageSize)
  return { ...pagesOver(checked, false, view), shared: { buffer, offset: 0 } }
}
