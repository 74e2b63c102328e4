/** Memory of a udmabuf for a page pool: pages of the host, or net_iovs. */

import { ArgumentTypeError, checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import { MAX_SLOTS } from '../../netmem.ts'
import { checkPageSize } from '../../pool/memory-provider.ts'
import { DEFAULT_PAGE_SIZE, type PageLayout } from '../../providers/page-layout.ts'
import type { DmaBufUse } from './dma-buf.ts'
import {
  checkMappable,
  type DmaBufNetIovProvider,
  type DmaBufPageProvider,
  netIovsOf,
  pagesOf,
} from './dma-buf-providers.ts'
import { createUdmabuf } from './udmabuf.ts'

/** Options of `udmabufProvider` and `dmaHeapProvider` alike. */
export interface DmaBufLayout extends PageLayout {
  /** Pages lie in a `SharedArrayBuffer`, so that threads can share the pool. False by default. */
  readonly shared?: boolean
}

/** Options of {@link udmabufProvider}. */
export interface UdmabufProviderOptions extends DmaBufLayout {
  /** Takes huge pages of 2 MiB, which the administrator has reserved (`vm.nr_hugepages`). */
  readonly hugePages?: boolean
  /** NUMA node that the memory is to lie on, 0 to 1023. The kernel chooses by default. */
  readonly numaNode?: number
}

type AnyUdmabufOptions = UdmabufProviderOptions & { readonly kind?: DmaBufUse }

const NAMES: OptionNames<AnyUdmabufOptions> = {
  pages: true,
  pageSize: true,
  kind: true,
  shared: true,
  hugePages: true,
  numaNode: true,
}

/** The layout of a provider, and its memory in bytes. */
export interface CheckedLayout {
  readonly pageSize: number
  readonly bytes: number
}

/** Throws NETMEM_OUT_OF_RANGE or NETMEM_INVALID_ARGUMENT for a layout that no pool can have. */
export function checkDmaBufLayout(layout: PageLayout, kind: DmaBufUse): CheckedLayout {
  if (kind !== 'page' && kind !== 'net_iov') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `kind is 'page' or 'net_iov', not ${JSON.stringify(kind)}.`,
    )
  }
  const pages = checkInteger('pages', layout.pages, 1, MAX_SLOTS)
  const pageSize = checkPageSize(layout.pageSize ?? DEFAULT_PAGE_SIZE)
  const bytes = pages * pageSize
  if (kind === 'page') checkMappable(bytes)
  return { pageSize, bytes }
}

/**
 * Provides memory of a fresh udmabuf, a dma-buf that every Linux machine can make. With `kind: 'page'`,
 * the default, the host maps it, and a pool of it receives on ordinary sockets. With
 * `kind: 'net_iov'` the host does not map it: bind it to a network card with `bindRx` or `bindTx`.
 *
 * `close()` ends it after the pool's `destroy()`, in either order.
 *
 * @param options number, size and kind of the pieces of memory.
 * @throws as `createUdmabuf`.
 *
 * @example
 * ```ts
 * import { createPool } from 'netmem'
 * import { udmabufProvider } from 'netmem/linux'
 *
 * const provider = udmabufProvider({ pages: 64, pageSize: 64 * 1024 })
 * const pool = createPool(provider) // PagePool<Page>
 * await pool.destroy()
 * provider.close()
 * ```
 */
export function udmabufProvider(
  options: UdmabufProviderOptions & { readonly kind?: 'page' },
): DmaBufPageProvider
export function udmabufProvider(
  options: UdmabufProviderOptions & { readonly kind: 'net_iov' },
): DmaBufNetIovProvider
export function udmabufProvider(
  options: AnyUdmabufOptions,
): DmaBufPageProvider | DmaBufNetIovProvider {
  const own = ownOptions('udmabufProvider()', options, NAMES)
  const { kind = 'page', shared = false, hugePages = false, numaNode } = own
  const { pageSize, bytes } = checkDmaBufLayout(own, kind)
  const dmabuf = createUdmabuf({
    bytes,
    hugePages,
    ...(numaNode === undefined ? {} : { numaNode }),
  })
  return kind === 'page' ? pagesOf(dmabuf, pageSize, shared) : netIovsOf(dmabuf, pageSize)
}
