/** The memory of a host provider: a buffer for each page where that can be had, one for all otherwise. */

import { fixedMemory } from './aligned-memory.ts'
import { allocate, type PageLayout } from './page-layout.ts'
import { markUntransferable } from './untransferable.ts'

/** WebAssembly has no smaller memory. */
const MIN_PAGE_BYTES = 64 * 1024
const MAX_PAGES = 1024
/**
 * Buffers that this thread keeps at once. Engines reserve 8 to 10 GiB of addresses for each WebAssembly
 * memory, of 128 TiB for all threads. So a process can make 13,000 buffers with Node 20, and 16,000 with
 * Node 24 and 26 (measured). The rest is left to other threads and modules.
 */
const MAX_BUFFERS = 2048

let buffersLeft = MAX_BUFFERS
const collected = new FinalizationRegistry<number>((buffers) => {
  buffersLeft += buffers
})

/** Buffers of equal size, and whether others could take one away. */
export interface HostBuffers {
  readonly buffers: readonly ArrayBuffer[]
  readonly mayMove: boolean
}

/**
 * Returns zeroed buffers for a layout. Throws NETMEM_OUT_OF_RANGE when the process has no room for them.
 */
export function hostBuffers(layout: Required<PageLayout>): HostBuffers {
  const mapped = bufferPerPage(layout) ?? oneBuffer(layout)
  const buffers = mapped ?? [allocate(layout, (bytes) => new ArrayBuffer(bytes))]
  for (const buffer of buffers) markUntransferable(buffer)
  return { buffers, mayMove: mapped === undefined }
}

function bufferPerPage({ pages, pageSize }: Required<PageLayout>): ArrayBuffer[] | undefined {
  if (pageSize < MIN_PAGE_BYTES || pages > MAX_PAGES || pages > buffersLeft) return undefined
  const buffers: ArrayBuffer[] = []
  for (let page = 0; page < pages; page++) {
    const buffer = fixedMemory(pageSize)?.buffer
    if (buffer === undefined) {
      // Looking for addresses in vain takes 30 ms, so the next provider does not try.
      buffersLeft = 0
      return undefined
    }
    buffers.push(buffer)
  }
  buffersLeft -= pages
  collected.register(buffers, pages)
  return buffers
}

function oneBuffer({ pages, pageSize }: Required<PageLayout>): ArrayBuffer[] | undefined {
  const buffer = fixedMemory(pages * pageSize)?.buffer
  return buffer === undefined ? undefined : [buffer]
}
