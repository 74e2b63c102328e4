/** The pool of all connections whose bodies go to memory. */

import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { hostProvider } from '../../providers/host.ts'

let pool: PagePool<Page> | undefined

/** Pages of the shared pool. A read that fills the connection's small buffer continues in one. */
const HEAD_PAGES = 64
const HEAD_PAGE_BYTES = 16 * 1024

/** Returns the shared pool. Heads, and bytes that come with them, pass through it. */
export function headPool(): PagePool<Page> {
  pool ??= createPool(hostProvider({ pages: HEAD_PAGES, pageSize: HEAD_PAGE_BYTES }))
  return pool
}
