/** Memory of a dma heap for a page pool: pages of the host, or net_iovs. */

import { type OptionNames, ownOptions } from '../../errors.ts'
import type { DmaBufUse } from './dma-buf.ts'
import {
  type DmaBufNetIovProvider,
  type DmaBufPageProvider,
  netIovsOf,
  pagesOf,
} from './dma-buf-providers.ts'
import { createDmaHeapBuffer, SYSTEM_HEAP } from './dma-heap.ts'
import { checkDmaBufLayout, type DmaBufLayout } from './udmabuf-provider.ts'

/** Options of {@link dmaHeapProvider}. */
export interface DmaHeapProviderOptions extends DmaBufLayout {
  /** Name of a heap in `/dev/dma_heap`. `system`, ordinary memory, by default. */
  readonly heap?: string
}

type AnyDmaHeapOptions = DmaHeapProviderOptions & { readonly kind?: DmaBufUse }

const NAMES: OptionNames<AnyDmaHeapOptions> = {
  pages: true,
  pageSize: true,
  kind: true,
  shared: true,
  heap: true,
}

/**
 * Provides memory of a dma heap. With `kind: 'page'`, the default, the host maps it. With
 * `kind: 'net_iov'` it does not: bind it to a network card with `bindRx` or `bindTx`.
 *
 * The kernel refuses to hand such pages to `O_DIRECT`, zero-copy sends and io_uring. Pages of
 * `udmabufProvider` have no such limit.
 *
 * @param options heap, and number, size and kind of the pieces of memory.
 * @throws as `createDmaHeapBuffer`.
 *
 * @example
 * ```ts
 * import { createPool } from 'netmem'
 * import { dmaHeapProvider } from 'netmem/linux'
 *
 * const provider = dmaHeapProvider({ heap: 'system', pages: 64, pageSize: 64 * 1024 })
 * const pool = createPool(provider)
 * await pool.destroy()
 * provider.close()
 * ```
 */
export function dmaHeapProvider(
  options: DmaHeapProviderOptions & { readonly kind?: 'page' },
): DmaBufPageProvider
export function dmaHeapProvider(
  options: DmaHeapProviderOptions & { readonly kind: 'net_iov' },
): DmaBufNetIovProvider
export function dmaHeapProvider(
  options: AnyDmaHeapOptions,
): DmaBufPageProvider | DmaBufNetIovProvider {
  const own = ownOptions('dmaHeapProvider()', options, NAMES)
  const { kind = 'page', shared = false, heap = SYSTEM_HEAP } = own
  const { pageSize, bytes } = checkDmaBufLayout(own, kind)
  const dmabuf = createDmaHeapBuffer({ heap, bytes })
  return kind === 'page' ? pagesOf(dmabuf, pageSize, shared) : netIovsOf(dmabuf, pageSize)
}
