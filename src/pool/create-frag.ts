import { checkInteger } from '../errors.ts'
import { bits, type Page } from '../netmem.ts'
import { HeldFrag, type HostFrag } from './frag.ts'
import { holdToken } from './frag-memory.ts'
import type { PagePool } from './page-pool.ts'

/**
 * Makes a frag of `length` bytes at `offset` of a page, taking over one of its references.
 *
 * @param offset 0 to `pool.pageSize`. 0 by default.
 * @param length Bytes up to the page's end at the most, which is the default.
 * @param label Origin of the bytes in reports, such as `tcp 127.0.0.1:5201`.
 * @throws NETMEM_OUT_OF_RANGE, and what `PagePool.put` throws of a handle that is not out.
 *
 * @example
 * ```ts
 * import { createFrag } from 'netmem'
 *
 * const page = pool.alloc()
 * if (page !== undefined) {
 *   const frag = createFrag(pool, page, 0, 100)
 *   console.log(frag.bytes.length) // 100
 *   frag.release() // and the page is the pool's again
 * }
 * ```
 */
export function createFrag(
  pool: PagePool<Page>,
  page: Page,
  offset = 0,
  length: number = pool.pageSize - offset,
  label?: string,
): HostFrag {
  checkInteger('offset', offset, 0, pool.pageSize)
  checkInteger('length', length, 0, pool.pageSize - offset)
  const { frags } = pool.core
  const token = holdToken(bits(page), frags) ?? frags.hold(bits(page))
  const frag = new HeldFrag(page, offset, length, token)
  if (label !== undefined) frag.trace(label, undefined)
  return frag
}
