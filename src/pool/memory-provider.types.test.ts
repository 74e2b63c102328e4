// Providers that the compiler takes for others.
import { test } from 'node:test'
import type {
  MemoryProvider,
  NetIov,
  NetIovProvider,
  Netmem,
  Page,
  PageProvider,
  Slots,
} from '../index.ts'
import { createPool, createSlotAllocator } from '../index.ts'
import { compiled } from '../testing/pools.test.helper.ts'

declare const pages: PageProvider
declare const iovs: NetIovProvider
declare const page: Page
declare const iov: NetIov

test('no provider is another: all six ways', () => {
  compiled(
    (
      ofPages: MemoryProvider<Page>,
      ofIovs: MemoryProvider<NetIov>,
      ofEither: MemoryProvider<Netmem>,
    ) => {
      // @ts-expect-error net_iovs for pages
      const a: MemoryProvider<Page> = ofIovs
      // @ts-expect-error either for pages
      const b: MemoryProvider<Page> = ofEither
      // @ts-expect-error pages for net_iovs
      const c: MemoryProvider<NetIov> = ofPages
      // @ts-expect-error either for net_iovs
      const d: MemoryProvider<NetIov> = ofEither
      // @ts-expect-error pages for either
      const e: MemoryProvider<Netmem> = ofPages
      // @ts-expect-error net_iovs for either
      const f: MemoryProvider<Netmem> = ofIovs
      return [a, b, c, d, e, f]
    },
  )
})

test('a provider of pages has bytes, one of net_iovs has places', () => {
  compiled((ofPages: MemoryProvider<Page>) => {
    const a: MemoryProvider<Page> = pages
    const b: MemoryProvider<NetIov> = iovs
    pages.bytes(page)
    iovs.offset(iov)
    // @ts-expect-error a provider of net_iovs for one of pages
    const c: PageProvider = iovs
    // @ts-expect-error a provider of pages for one of net_iovs
    const d: NetIovProvider = pages
    // @ts-expect-error a provider that cannot show its pages' bytes
    const e: PageProvider = ofPages
    // @ts-expect-error a net_iov's bytes
    iovs.bytes(iov)
    // @ts-expect-error a net_iov's bytes, from a provider of pages
    pages.bytes(iov)
    // @ts-expect-error a page's place in a dma-buf
    iovs.offset(page)
    // @ts-expect-error a page given back as a net_iov
    iovs.release(page)
    // @ts-expect-error the wrong name of its kind
    const f: PageProvider = { ...pages, kind: 'net_iov' }
    // @ts-expect-error an interface with methods is no way around
    const g: { release(m: Netmem): void } = pages
    return [a, b, c, d, e, f, g]
  })
})

test('slots make handles of their pool, and no others', () => {
  compiled((ofPages: Slots<Page>, ofIovs: Slots<NetIov>) => {
    const made: Page = ofPages.mint(0)
    // @ts-expect-error a slot of pages makes no net_iov
    const a: NetIov = ofPages.mint(0)
    // @ts-expect-error pages for either
    const b: Slots<Netmem> = ofPages
    // @ts-expect-error net_iovs for pages
    const c: Slots<Page> = ofIovs
    // @ts-expect-error the slot of another kind
    ofPages.slot(iov)
    return [made, a, b, c]
  })
})

test('operations of one kind make no provider of the other', () => {
  compiled(() => {
    const { slot: _, ...operations } = createSlotAllocator<NetIov>(1)
    // @ts-expect-error the operations are those of net_iovs
    createPool({ ...pages, ...operations })
    createPool({ ...iovs, ...operations })
  })
})
