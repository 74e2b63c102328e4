/** Pages in an ArrayBuffer of this thread. */

import type { PageProvider } from '../pool/memory-provider.ts'
import { mappedBuffer } from './aligned-memory.ts'
import { allocate, checkLayout, type PageLayout, pagesOver } from './page-layout.ts'
import { markUntransferable } from './untransferable.ts'

/**
 * Provides pages of plain host memory, for one pool at a time. The buffer cannot be transferred:
 * the kernel writes to posted memory, whoever owns it by then.
 * Throws NETMEM_OUT_OF_RANGE, also for more memory than the process can have, and
 * NETMEM_INVALID_ARGUMENT.
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
  const checked = checkLayout(layout)
  const mapped = mappedBuffer(checked.pages * checked.pageSize)
  const buffer = mapped ?? allocate(checked, (bytes) => new ArrayBuffer(bytes))
  markUntransferable(buffer)
  return pagesOver(() => buffer, 0, checked, mapped === undefined)
}
