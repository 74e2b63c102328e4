/**
 * A memory provider written by hand: it makes each page when the pool first needs it, so a large
 * pool costs only the pages in use. `providerConformance` of netmem/testing proves it.
 */

import { createPool, LifetimeError, type Page, type PageProvider, type Slots } from 'netmem'

/** Makes a provider of at most `pages` pages of `pageSize` bytes. */
export function lazyProvider(pages: number, pageSize: number): PageProvider {
  const free = Array.from({ length: pages }, (_, slot) => pages - 1 - slot)
  const memory: Uint8Array[] = []
  let slots: Slots<Page> | undefined
  const opened = (): Slots<Page> => {
    if (slots !== undefined) return slots
    throw new LifetimeError('NETMEM_PROVIDER_UNOPENED', 'No pool has this provider open.')
  }
  return {
    kind: 'page',
    pageSize,
    capacity: pages,
    init: (given) => {
      if (slots !== undefined) {
        throw new LifetimeError('NETMEM_PROVIDER_BUSY', 'Another pool has this provider.')
      }
      slots = given
    },
    alloc: (want, give) => {
      for (let given = 0; given < want; given++) {
        const slot = free.pop()
        if (slot === undefined) return
        give(opened().mint(slot))
      }
    },
    // Last in, first out: what was used goes out again before anything new is made.
    release: (page) => {
      free.push(opened().slot(page))
    },
    destroy: () => {
      slots = undefined
    },
    bytes: (page) => {
      const slot = opened().slot(page)
      const bytes = memory[slot] ?? new Uint8Array(pageSize)
      memory[slot] = bytes
      return bytes
    },
  }
}

const pool = createPool(lazyProvider(4096, 65_536))
const page = pool.alloc()
if (page !== undefined) {
  console.log(`one page of ${pool.bytes(page).length} bytes, of ${pool.capacity}`)
  pool.put(page)
}
await pool.destroy()
