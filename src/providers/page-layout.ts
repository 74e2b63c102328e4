/** Layout of a provider's memory in pages, and the provider over such pages. */

import { ArgumentRangeError, checkInteger, type OptionNames, ownOptions } from '../errors.ts'
import { MAX_SLOTS, type Page } from '../netmem.ts'
import { checkPageSize, type PageProvider } from '../pool/memory-provider.ts'
import { createSlotAllocator } from './slot-allocator.ts'

/** Number of pages, and their size. */
export interface PageLayout {
  /** Number of pages: 1 to 131,008, which all pools of a thread have together. */
  readonly pages: number
  /** Bytes of each: a power of two, 4 KiB to 1 GiB. Default: 256 KiB. */
  readonly pageSize?: number
}

/** Bytes of a page by default: one read of a fast sender, which still fits a core's cache. */
export const DEFAULT_PAGE_SIZE: number = 256 * 1024

const NAMES: OptionNames<PageLayout> = { pages: true, pageSize: true }

/**
 * Returns the layout with its defaults. Throws NETMEM_OUT_OF_RANGE or NETMEM_INVALID_ARGUMENT.
 *
 * @param call names the provider in messages.
 */
export function checkLayout(call: string, layout: PageLayout): Required<PageLayout> {
  const { pages, pageSize = DEFAULT_PAGE_SIZE } = ownOptions(call, layout, NAMES)
  return {
    pages: checkInteger('pages', pages, 1, MAX_SLOTS),
    pageSize: checkPageSize(pageSize),
  }
}

/** Returns memory for a layout. Throws NETMEM_OUT_OF_RANGE when the process has no room for it. */
export function allocate<B>(
  { pages, pageSize }: Required<PageLayout>,
  make: (bytes: number) => B,
): B {
  try {
    return make(pages * pageSize)
  } catch {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `${pages} pages of ${pageSize} bytes are more than this process can have in one piece. Take fewer pages.`,
    )
  }
}

/** Provides pages whose bytes are `view(slot)`. `mayMove` is the provider's property of that name. */
export function pagesOver(
  { pages, pageSize }: Required<PageLayout>,
  mayMove: boolean,
  view: (slot: number) => Uint8Array,
): PageProvider {
  const { slot, ...operations } = createSlotAllocator<Page>(pages)
  return {
    kind: 'page',
    pageSize,
    capacity: pages,
    mayMove,
    ...operations,
    bytes: (page) => view(slot(page)),
  }
}
