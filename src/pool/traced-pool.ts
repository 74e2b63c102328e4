/** A pool with `traceLeaks`: a class of its own, so that other pools pay nothing for it. */

import type { Netmem } from '../netmem.ts'
import { PagePool } from './page-pool.ts'

export class TracedPool<in out M extends Netmem> extends PagePool<M> {
  override alloc(): M | undefined {
    const m = super.alloc()
    if (m !== undefined) this.noteAllocation(m)
    return m
  }
}
