/** Header buffers of a queue: one for each completion, cut from pages of the header pool. */

import { checkInteger, LifetimeError } from '../../../errors.ts'
import type { Page } from '../../../netmem.ts'
import type { MemoryVisitor } from '../../../pool/memory-users.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { HeaderPage } from '../../rings/shared-rings.ts'

export class HeaderBuffers {
  /** Pages by DMA address, for the rings. */
  readonly pages: HeaderPage[] = []
  /** Bytes of each buffer, in the order of the completions. */
  readonly views: DataView[] = []
  readonly #pool: PagePool<Page>
  readonly #taken: Page[] = []

  /**
   * Takes `count` buffers of `bytes` bytes from a pool that is mapped as `region`.
   *
   * @throws NETMEM_OUT_OF_RANGE for `bytes`, and NETMEM_POOL_DRY if the pool has too few pages.
   */
  constructor(pool: PagePool<Page>, count: number, bytes: number, region: number) {
    this.#pool = pool
    const each = Math.floor(pool.pageSize / checkInteger('headerBytes', bytes, 64, pool.pageSize))
    while (this.views.length < count) {
      const page = pool.alloc()
      if (page === undefined) {
        this.close()
        throw new LifetimeError(
          'NETMEM_POOL_DRY',
          `The header pool is dry: ${count} header buffers of ${bytes} bytes need ${Math.ceil(count / each)} pages.`,
        )
      }
      this.#taken.push(page)
      const { buffer, byteOffset } = pool.bytes(page)
      const buffers = Math.min(each, count - this.views.length)
      this.pages.push({ region, offset: byteOffset, buffers })
      for (let at = 0; at < buffers; at++) {
        this.views.push(new DataView(buffer, byteOffset + at * bytes, bytes))
      }
    }
  }

  /** Visits the pages. */
  visitMemory(visit: MemoryVisitor): void {
    for (const page of this.#taken) visit(page, 'posted')
  }

  /** Gives the pages back. */
  close(): void {
    for (const page of this.#taken.splice(0)) this.#pool.put(page)
  }
}
