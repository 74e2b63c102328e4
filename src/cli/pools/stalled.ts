/**
 * Pools that their drivers have given up, and that wait for memory. The kernel asks each once a second if
 * all is back. It warns of a stalled pool shutdown only where the pool cannot be listed (K:
 * net/core/page_pool.c, page_pool_release_retry).
 */

import type { KernelPool } from '../../observe/index.ts'
import type { Look } from './look.ts'

/** Inflight counts of detached pools at their first look. */
export class StalledPools {
  readonly #first = new Map<number, { readonly inflight: number; readonly atMs: number }>()

  /** Returns lines that say what each detached pool waits for. */
  describe({ kernel, atMs }: Look): string[] {
    if (kernel.kind === 'unavailable') return []
    return kernel.pools
      .filter(({ detachedSeconds }) => detachedSeconds !== undefined)
      .map((pool) => {
        const first = this.#first.get(pool.id) ?? { inflight: pool.inflight, atMs }
        this.#first.set(pool.id, first)
        return describe(pool, first.inflight, (atMs - first.atMs) / 1000)
      })
  }
}

function describe({ id, inflight }: KernelPool, first: number, seconds: number): string {
  const waits = `Pool ${id} was given up by its driver and waits for ${inflight} netmem`
  if (seconds === 0) {
    return `${waits}: sockets that no program reads hold them (ss -tmn shows them in Recv-Q), tokens that were not returned, or a driver that leaks. With --watch their number tells.`
  }
  const since = `${Math.round(seconds)} s`
  return inflight < first
    ? `${waits}, ${first - inflight} less than ${since} ago: a slow consumer.`
    : `${waits}, as ${since} ago: a consumer that does not read (ss -tmn shows it in Recv-Q), tokens that were not returned, or a leak.`
}
