/**
 * Pools for the bodies of files, for callers that pass no pool. The last pool is kept for two seconds,
 * with the connections that receive into it. Mapping 16 MiB and connecting take longer than receiving a
 * small body.
 */

import type { Page } from '../../../netmem.ts'
import { createPool } from '../../../pool/create-pool.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { hostProvider } from '../../../providers/host.ts'
import type { ConnectionCache } from '../../client/connection-cache.ts'

const PAGES = 64
const PAGE_BYTES = 256 * 1024
const IDLE_MS = 2000

let idle: FilePool | undefined

export class FilePool {
  readonly pool: PagePool<Page> = createPool(hostProvider({ pages: PAGES, pageSize: PAGE_BYTES }))
  /** Caches that may have connections which receive into the pool. */
  readonly #caches = new Set<ConnectionCache>()
  #timer: NodeJS.Timeout | undefined

  /** Returns the idle pool, or a new one. */
  static take(): FilePool {
    const taken = idle
    if (taken === undefined) return new FilePool()
    idle = undefined
    clearTimeout(taken.#timer)
    return taken
  }

  /** Ends the use by one transfer, whose connections may rest in `cache`. */
  async give(cache: ConnectionCache | undefined): Promise<void> {
    if (cache !== undefined) this.#caches.add(cache)
    if (idle !== undefined || cache === undefined) return this.#destroy()
    idle = this
    this.#timer = setTimeout(() => {
      idle = undefined
      void this.#destroy()
    }, IDLE_MS).unref()
  }

  async #destroy(): Promise<void> {
    for (const cache of this.#caches) cache.forget(this.pool)
    await this.pool.destroy()
  }
}
