// Pools that the compiler takes for others.
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import type {
  AttachedPool,
  BorrowedFrag,
  DeviceFrag,
  Frag,
  HostFrag,
  Lent,
  NetIov,
  Netmem,
  Page,
  PagePool,
  PageProvider,
  Place,
  ReadableFrag,
  Reservation,
} from '../index.ts'
import {
  createFrag,
  createPool,
  dualPool,
  hostProvider,
  isNetIov,
  isPage,
  release,
  retain,
} from '../index.ts'
import { testDeviceProvider } from '../testing/index.ts'
import { compiled } from '../testing/pools.test.helper.ts'

declare const pages: PagePool<Page>
declare const iovs: PagePool<NetIov>
declare const either: PagePool<Netmem>
declare const page: Page
declare const iov: NetIov
declare const netmem: Netmem

test('the provider decides what the pool is of', () => {
  compiled(() => {
    expectTypeOf(createPool(hostProvider({ pages: 1 }))).toEqualTypeOf<PagePool<Page>>()
    expectTypeOf(createPool(testDeviceProvider({ netIovs: 1 }))).toEqualTypeOf<PagePool<NetIov>>()
    expectTypeOf(dualPool(hostProvider({ pages: 1 }))).toEqualTypeOf<PagePool<Netmem>>()
    expectTypeOf(dualPool(testDeviceProvider({ netIovs: 1 }))).toEqualTypeOf<PagePool<Netmem>>()
    expectTypeOf(pages.alloc()).toEqualTypeOf<Page | undefined>()
    expectTypeOf(iovs.alloc()).toEqualTypeOf<NetIov | undefined>()
    expectTypeOf(either.alloc()).toEqualTypeOf<Netmem | undefined>()
    // @ts-expect-error no pool is made but by createPool and dualPool: they take providers
    createPool({ kind: 'page', pageSize: 4096, capacity: 1 })
    // @ts-expect-error a device has no pages
    const wrong: PagePool<Page> = createPool(testDeviceProvider({ netIovs: 1 }))
    return void wrong
  })
})

test('no pool is another: all six ways', () => {
  compiled(() => {
    // @ts-expect-error net_iovs for pages
    const a: PagePool<Page> = iovs
    // @ts-expect-error either for pages
    const b: PagePool<Page> = either
    // @ts-expect-error pages for net_iovs
    const c: PagePool<NetIov> = pages
    // @ts-expect-error either for net_iovs
    const d: PagePool<NetIov> = either
    // @ts-expect-error pages for either
    const e: PagePool<Netmem> = pages
    // @ts-expect-error net_iovs for either
    const f: PagePool<Netmem> = iovs
    // @ts-expect-error nor a union of both for either
    const g: PagePool<Netmem> = Math.random() < 0.5 ? pages : iovs
    // @ts-expect-error nor in a list of them
    const h: PagePool<Netmem>[] = [pages]
    return [a, b, c, d, e, f, g, h]
  })
})

test('places are asked of net_iovs alone', () => {
  compiled(() => {
    expectTypeOf(iovs.place(iov)).toEqualTypeOf<Place>()
    if (isNetIov(netmem)) either.place(netmem)
    // @ts-expect-error a pool of pages has no places
    pages.place(page)
    // @ts-expect-error nor for a net_iov of another pool
    pages.place(iov)
    // @ts-expect-error a page has none
    either.place(page)
    // @ts-expect-error what may be a page
    either.place(netmem)
    // @ts-expect-error a page in a pool of net_iovs
    iovs.place(page)
  })
})

test('a borrowed frag is no netmem', () => {
  compiled((attached: AttachedPool, lent: Lent, frag: HostFrag) => {
    const borrowed = attached.receive(lent)
    expectTypeOf(borrowed).toEqualTypeOf<BorrowedFrag>()
    const readable: ReadableFrag[] = [borrowed, frag]
    // @ts-expect-error not a frag of this thread
    const a: Frag = borrowed
    // @ts-expect-error nor a host frag
    const b: HostFrag = borrowed
    // @ts-expect-error a host frag was lent by no thread
    const c: BorrowedFrag = frag
    // @ts-expect-error it is not lent on
    borrowed.lend
    return [readable, a, b, c]
  })
})

test('frags are cut of pages alone', () => {
  compiled(() => {
    expectTypeOf(pages.allocFrag(1)).toEqualTypeOf<HostFrag | undefined>()
    expectTypeOf(either.reserve(1)?.page).toEqualTypeOf<Netmem | undefined>()
    // @ts-expect-error of net_iovs
    iovs.allocFrag(1)
    // @ts-expect-error of either
    either.allocFrag(1)
    // @ts-expect-error a reservation of net_iovs
    const a: Reservation<Page> | undefined = iovs.reserve(1)
    // @ts-expect-error no integer is a handle
    release(5)
    // @ts-expect-error nor retained
    retain(5)
    return a
  })
})

test('a driver of pages takes no other pool', () => {
  class PageDriver {
    readonly pool: PagePool<Page>
    constructor(pool: PagePool<Page>) {
      this.pool = pool
    }
  }
  const drive = (pool: PagePool<Page>): Page | undefined => pool.alloc()
  compiled(() => {
    drive(pages)
    new PageDriver(pages)
    // @ts-expect-error a pool of net_iovs
    drive(iovs)
    // @ts-expect-error a pool of either
    drive(either)
    // @ts-expect-error a pool of net_iovs
    new PageDriver(iovs)
    // @ts-expect-error a pool of either
    new PageDriver(either)
    // @ts-expect-error a dual pool over host pages all the same
    drive(dualPool(hostProvider({ pages: 1 })))
  })
})

test('no structural type widens what a pool takes', () => {
  interface Putter<M> {
    put(m: M): void
  }
  interface PutProperty<M> {
    readonly put: (m: M) => void
  }
  interface Others {
    references(m: Netmem): number
  }
  interface Bytes {
    bytes(m: Netmem): Uint8Array
  }
  compiled(() => {
    const pagePut: Putter<Page> = pages
    const iovPut: Putter<NetIov> = iovs
    const eitherPut: Putter<Netmem> = either
    const pagePutToo: PutProperty<Page> = pages
    // @ts-expect-error a method that takes either, over a pool of pages
    const a: Putter<Netmem> = pages
    // @ts-expect-error a method that takes either, over a pool of net_iovs
    const b: Putter<Netmem> = iovs
    // @ts-expect-error a method that takes net_iovs, over a pool of pages
    const c: Putter<NetIov> = pages
    // @ts-expect-error a method that takes pages, over a pool of net_iovs
    const d: Putter<Page> = iovs
    // @ts-expect-error a property that takes either, over a pool of pages
    const e: PutProperty<Netmem> = pages
    // @ts-expect-error a property that takes either, over a pool of net_iovs
    const f: PutProperty<Netmem> = iovs
    // @ts-expect-error a property that takes net_iovs, over a pool of pages
    const g: PutProperty<NetIov> = pages
    // @ts-expect-error a property that takes pages, over a pool of net_iovs
    const h: PutProperty<Page> = iovs
    // @ts-expect-error the other methods that take a handle are no way around
    const i: Others = pages
    // @ts-expect-error nor is bytes
    const j: Bytes = pages
    // @ts-expect-error nor over a dual pool
    const k: Bytes = either
    // @ts-expect-error what a pool of either gives is no page
    const l: { alloc(): Page | undefined } = either
    // @ts-expect-error what a pool of net_iovs gives is no page
    const m: { alloc(): Page | undefined } = iovs
    const publicFace: Pick<PagePool<Page>, keyof PagePool<Page>> = pages
    // @ts-expect-error a pool cannot be made up: it is nominal
    const n: PagePool<Page> = publicFace
    return [pagePut, iovPut, eitherPut, pagePutToo, a, b, c, d, e, f, g, h, i, j, k, l, m, n]
  })
})

test('a pool takes back what it gives', () => {
  compiled(() => {
    pages.put(page)
    iovs.put(iov)
    either.put(netmem)
    either.put(page)
    either.put(iov)
    // @ts-expect-error a net_iov into a pool of pages
    pages.put(iov)
    // @ts-expect-error either into a pool of pages
    pages.put(netmem)
    // @ts-expect-error a page into a pool of net_iovs
    iovs.put(page)
    // @ts-expect-error nothing: alloc may have had nothing to give
    pages.put(pages.alloc())
    // @ts-expect-error a number
    pages.put(0)
    // @ts-expect-error either's references from a pool of pages
    pages.references(netmem)
    if (isPage(netmem)) pages.put(netmem)
  })
})

test('bytes are asked of a page alone', () => {
  compiled(() => {
    expectTypeOf(pages.bytes(page)).toEqualTypeOf<Uint8Array>()
    if (isPage(netmem)) either.bytes(netmem)
    // @ts-expect-error the bytes of a net_iov
    iovs.bytes(iov)
    // @ts-expect-error the bytes of a page, from a pool that has none
    iovs.bytes(page)
    // @ts-expect-error the bytes of a net_iov, from a pool of pages
    pages.bytes(iov)
    // @ts-expect-error the bytes of either, from a pool of pages
    pages.bytes(netmem)
    // @ts-expect-error the bytes of either, from a pool of either
    either.bytes(netmem)
    // @ts-expect-error the bytes of a net_iov, from a pool of either
    either.bytes(iov)
    // @ts-expect-error what is not a page, narrowed
    if (!isPage(netmem)) either.bytes(netmem)
  })
})

test('frags of pages come from pools of pages; only they are shared', () => {
  compiled(() => {
    createFrag(pages, page)
    pages.share()
    // @ts-expect-error no frag of host memory from a pool of net_iovs
    createFrag(iovs, iov)
    // @ts-expect-error nor from a pool of either
    createFrag(either, page)
    // @ts-expect-error nor of a net_iov
    createFrag(pages, iov)
    // @ts-expect-error device memory is not shared with threads
    iovs.share()
    // @ts-expect-error nor is a pool of either
    either.share()
  })
})

test('a frag says by its kind what may be done with it', () => {
  compiled((frag: Frag, device: DeviceFrag) => {
    if (frag.kind === 'page') {
      expectTypeOf(frag).toEqualTypeOf<HostFrag>()
      expectTypeOf(frag.bytes).toEqualTypeOf<Uint8Array>()
      // @ts-expect-error host memory has no token
      frag.token
    } else {
      expectTypeOf(frag).toEqualTypeOf<DeviceFrag>()
      expectTypeOf(frag.token).toEqualTypeOf<number>()
      // @ts-expect-error device memory has no bytes
      frag.bytes
    }
    expectTypeOf(frag.length).toEqualTypeOf<number>()
    frag.release()
    // @ts-expect-error the bytes of a frag of unknown kind
    frag.bytes
    // @ts-expect-error the place of a frag of unknown kind
    frag.offset
    // @ts-expect-error the bytes of a device frag
    device.bytes
    // @ts-expect-error a part of a device frag
    device.slice(0, 1)
    // @ts-expect-error a device frag as one of the host
    const host: HostFrag = device
    return void host
  })
})

test('a provider of one kind is not one of the other', () => {
  expectTypeOf(hostProvider).returns.toEqualTypeOf<PageProvider>()
})
