// Uses of handles that the compiler takes or refuses. It reports each error that is expected here.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import {
  createPool,
  dualPool,
  hostProvider,
  isNetIov,
  isPage,
  type NetIov,
  type Netmem,
  type Page,
} from './index.ts'
import { testDeviceProvider } from './testing/index.ts'
import { compiled, end, some } from './testing/pools.test.helper.ts'

declare const page: Page
declare const iov: NetIov
declare const netmem: Netmem
declare const anyNumber: number
declare function takePage(page: Page): void
declare function takeNetIov(iov: NetIov): void
declare function takeNetmem(netmem: Netmem): void
declare function takeNumber(value: number): void

test('pages and net_iovs widen to netmem', () => {
  expectTypeOf<Page>().toExtend<Netmem>()
  expectTypeOf<NetIov>().toExtend<Netmem>()
  expectTypeOf<Netmem>().toEqualTypeOf<Page | NetIov>()
  expectTypeOf<Page & NetIov>().toEqualTypeOf<never>()
})

test('no kind is the other', () => {
  compiled(() => {
    takeNetmem(page)
    takeNetmem(iov)
    // @ts-expect-error a net_iov is no page
    takePage(iov)
    // @ts-expect-error a page is no net_iov
    takeNetIov(page)
    // @ts-expect-error either is no page before it is narrowed
    takePage(netmem)
    // @ts-expect-error either is no net_iov before it is narrowed
    takeNetIov(netmem)
    // @ts-expect-error nor in an array
    const pages: Page[] = [netmem]
    // @ts-expect-error nor compared: they have nothing in common
    const same = page === iov
    return void [pages, same]
  })
  expectTypeOf<NetIov>().not.toExtend<Page>()
  expectTypeOf<Page>().not.toExtend<NetIov>()
  expectTypeOf<Netmem>().not.toExtend<Page>()
  expectTypeOf<Netmem>().not.toExtend<NetIov>()
})

test('no value but a handle is one', () => {
  compiled(() => {
    // @ts-expect-error a number is no page
    takePage(2)
    // @ts-expect-error a number is no net_iov
    takeNetIov(3)
    // @ts-expect-error a number is no netmem
    takeNetmem(anyNumber)
    // @ts-expect-error an object is no page
    takePage({})
    // @ts-expect-error an object that says so is no page either
    takePage({ kind: 'page' })
    // @ts-expect-error nothing is no page
    takePage(undefined)
    // @ts-expect-error a number cannot even be cast
    takePage(2 as Page)
  })
  expectTypeOf<number>().not.toExtend<Netmem>()
})

test('a handle is no number', () => {
  const host = new Uint8Array(8)
  compiled(() => {
    // @ts-expect-error a page is no number
    takeNumber(page)
    // @ts-expect-error a net_iov is no number
    takeNumber(iov)
    // @ts-expect-error a netmem is no number
    takeNumber(netmem)
    // @ts-expect-error a net_iov is no index into host memory
    host[iov]
    // @ts-expect-error nor is a page
    host[page]
    // @ts-expect-error a net_iov is no length
    new Uint8Array(iov)
    // @ts-expect-error a net_iov is no offset
    host.subarray(iov)
    // @ts-expect-error no arithmetic
    page + 1
    // @ts-expect-error no arithmetic
    page - page
    // @ts-expect-error no bits
    iov & 1
    // @ts-expect-error no shifts
    netmem >> 1
    // @ts-expect-error no order
    page < 5
    // @ts-expect-error never equal to a number
    page === 0
    // @ts-expect-error it has no members, a number's included
    page.toFixed()
    // @ts-expect-error nor is it an array of its bytes
    page[0]
    // @ts-expect-error a page is not its bytes
    host.set(page)
    // @ts-expect-error a handle cannot even be cast to a number
    takeNumber(page as number)
  })
  expectTypeOf<Page>().not.toExtend<number>()
  expectTypeOf<NetIov>().not.toExtend<number>()
})

test('the guards narrow, in both branches', () => {
  compiled(() => {
    if (isPage(netmem)) expectTypeOf(netmem).toEqualTypeOf<Page>()
    else expectTypeOf(netmem).toEqualTypeOf<NetIov>()
    if (isNetIov(netmem)) expectTypeOf(netmem).toEqualTypeOf<NetIov>()
    else expectTypeOf(netmem).toEqualTypeOf<Page>()
    // @ts-expect-error a number has no kind
    isPage(2)
  })
})

test('the guards say what memory is', async () => {
  const pages = createPool(hostProvider({ pages: 1, pageSize: 4096 }))
  const device = createPool(testDeviceProvider({ netIovs: 1 }))
  const dual = dualPool(testDeviceProvider({ netIovs: 1 }))
  const [page, iov, either] = [some(pages.alloc()), some(device.alloc()), some(dual.alloc())]
  assert.deepEqual([isPage(page), isNetIov(page)], [true, false])
  assert.deepEqual([isPage(iov), isNetIov(iov)], [false, true])
  assert.deepEqual([isPage(either), isNetIov(either)], [false, true])
  assert.deepEqual([pages.kind, device.kind, dual.kind], ['page', 'net_iov', 'net_iov'])
  pages.put(page)
  device.put(iov)
  dual.put(either)
  await end(pages, device, dual)
})
