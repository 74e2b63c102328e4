/** Pages in ArrayBuffers of this thread. */

import type { PageProvider } from '../pool/memory-provider.ts'
import { hostBuffers } from './host-buffers.ts'
import { checkLayout, type PageLayout, pagesOver } from './page-layout.ts'

/**
 * Provides pages of plain host memory, for one pool at a time. A page of 64 KiB or more is a separate
 * ArrayBuffer, so that a clone of a frag's bytes carries one page instead of the pool. The limits are
 * 1,024 such pages a provider and 2,048 a thread. Larger and smaller pages share one buffer. The buffers
 * cannot be transferred: the kernel writes to posted memory, also after a transfer. Give `frag.copy()`
 * away instead.
 *
 * @param layout How many pages, and of which size.
 * @throws NETMEM_OUT_OF_RANGE, also for more memory than the process can have.
 * @throws NETMEM_INVALID_ARGUMENT for a layout that is not made of numbers.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 *
 * const pool = createPool(hostProvider({ pages: 64, pageSize: 256 * 1024 })) // 16 MiB
 * console.log(pool.available) // 64
 * ```
 */
export function hostProvider(layout: PageLayout): PageProvider {
  const checked = checkLayout('hostProvider()', layout)
  const { pages, pageSize } = checked
  const { buffers, mayMove } = hostBuffers(checked)
  const pagesPerBuffer = pages / buffers.length
  return pagesOver(checked, mayMove, (slot) => {
    const buffer = buffers[Math.floor(slot / pagesPerBuffer)]
    if (buffer === undefined) throw new RangeError(`There is no page ${slot} of ${pages}.`)
    return new Uint8Array(buffer, (slot % pagesPerBuffer) * pageSize, pageSize)
  })
}
