/** Pools that commands receive into. */

import { ArgumentRangeError } from '../errors.ts'
import type { Page } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { sharedProvider } from '../providers/shared.ts'
import { describeError, usage } from './exit.ts'
import type { PoolOptions } from './options.ts'
import { exactSize } from './size.ts'

/** Makes a pool of as many whole pages as `--pool` holds. */
export async function makePool({ pool, pageSize, memory }: PoolOptions): Promise<PagePool<Page>> {
  const pages = Math.floor(pool / pageSize)
  if (pages === 0) {
    throw usage(
      `--pool ${exactSize(pool)} holds no page of ${exactSize(pageSize)}; make it larger.`,
    )
  }
  try {
    if (memory === 'udmabuf') return await udmabufPool(pages, pageSize)
    return createPool((memory === 'shared' ? sharedProvider : hostProvider)({ pages, pageSize }))
  } catch (error) {
    if (error instanceof ArgumentRangeError) throw usage(describeError(error).message)
    throw error
  }
}

/** netmem/linux is loaded here alone: it would double the time that a command takes to start. */
async function udmabufPool(pages: number, pageSize: number): Promise<PagePool<Page>> {
  const { udmabufProvider } = await import('../linux/dma-buf/udmabuf-provider.ts')
  const provider = udmabufProvider({ pages, pageSize })
  const pool = createPool(provider)
  // The dma-buf ends with the pool.
  provider.close()
  return pool
}

/** Returns a text such as `64 pages of 256KiB, host memory`. */
export function describePool(pool: PagePool<Page>, { memory }: PoolOptions): string {
  return `${pool.capacity} pages of ${exactSize(pool.pageSize)}, ${memory} memory`
}
