/** Allocator of equal pieces, for providers of such memory. */

import { LifetimeError } from '../errors.ts'
import type { Exactly, Netmem } from '../netmem.ts'
import type { MemoryProvider, Slots } from '../pool/memory-provider.ts'

/**
 * Makes the operations of a memory provider over `capacity` equal pieces. The lowest piece goes first,
 * then the last returned one. A provider adds `bytes` to them. `init` throws NETMEM_PROVIDER_BUSY while a
 * pool has it open.
 *
 * @example
 * ```ts
 * import { createPool, createSlotAllocator, type Page, type PageProvider } from 'netmem'
 *
 * const pageSize = 4096
 * const pages = Array.from({ length: 16 }, () => new Uint8Array(pageSize))
 * const { slot, ...operations } = createSlotAllocator<Page>(pages.length)
 * const provider: PageProvider = {
 *   kind: 'page',
 *   pageSize,
 *   capacity: pages.length,
 *   ...operations,
 *   bytes: (page) => pages[slot(page)] ?? new Uint8Array(0),
 * }
 * const pool = createPool(provider)
 * ```
 */
export function createSlotAllocator<M extends Netmem>(
  capacity: number,
): Pick<MemoryProvider<M>, 'init' | 'release' | 'destroy'> & {
  /** Passes at most `want` handles to `give`. Returns their number. */
  readonly alloc: (want: number, give: (m: M) => void) => number
  /** The slot of a handle. */
  readonly slot: (m: Exactly<M>) => number
} {
  let slots: Slots<M> | undefined
  const returned: number[] = []
  let unused = 0
  const opened = (): Slots<M> => {
    if (slots !== undefined) return slots
    throw new LifetimeError('NETMEM_PROVIDER_UNOPENED', 'No pool has this provider open.')
  }
  return {
    slot: (m) => opened().slot(m),
    init: (given) => {
      if (slots !== undefined) {
        throw new LifetimeError(
          'NETMEM_PROVIDER_BUSY',
          'Another pool has this provider. Wait for its destroy(), or make a second provider.',
        )
      }
      slots = given
    },
    alloc: (want, give) => {
      const { mint } = opened()
      let given = 0
      for (; given < want; given++) {
        const slot = returned.pop() ?? (unused < capacity ? unused++ : undefined)
        if (slot === undefined) break
        give(mint(slot))
      }
      return given
    },
    release: (m) => {
      returned.push(opened().slot(m))
    },
    destroy: () => {
      slots = undefined
      returned.length = 0
      unused = 0
    },
  }
}
