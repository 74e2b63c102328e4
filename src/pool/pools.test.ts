// A handle is enough: memory is retained, released, found and cut with nothing but its handle.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNetmemError } from '../errors.ts'
import { bytesOf, MAX_SLOTS, type Page, placeOf, release, retain } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { testDeviceProvider } from '../testing/index.ts'
import { assertCode, end, some, take } from '../testing/pools.test.helper.ts'
import { until } from '../testing/waiting.test.helper.ts'
import { createPool, dualPool } from './create-pool.ts'
import type { PagePool } from './page-pool.ts'
import { pools } from './pools.ts'

const pageSize = 4096
const poolOf = (pages: number): PagePool<Page> => createPool(hostProvider({ pages, pageSize }))
const asPage = (value: unknown): Page => value as Page

test('memory of any pool is retained and released by its handle', async () => {
  const pages = poolOf(3)
  const device = createPool(testDeviceProvider({ netIovs: 3 }))
  const dual = dualPool(hostProvider({ pages: 3, pageSize }))
  const m = [some(pages.alloc()), some(device.alloc()), some(dual.alloc())] as const
  for (const one of m) {
    retain(one)
    retain(one, 2)
  }
  assert.deepEqual(
    [pages.references(m[0]), device.references(m[1]), dual.references(m[2])],
    [4, 4, 4],
  )
  for (const one of m) for (let left = 4; left > 0; left--) release(one)
  assert.deepEqual([pages.out, device.out, dual.out], [0, 0, 0])
  assert.equal(pages.stats().recycle.cached, 1)
  await end(pages, device, dual)
})

test('what is not out is neither retained nor released', async () => {
  const pool = poolOf(1)
  const page = some(pool.alloc())
  release(page)
  const before = pool.stats()
  for (const change of [release, retain, bytesOf]) {
    assertCode('NETMEM_DOUBLE_PUT', () => change(page))
  }
  const again = some(pool.alloc())
  for (const change of [release, retain, bytesOf]) {
    assertCode('NETMEM_STALE_HANDLE', () => change(page))
    assertCode('NETMEM_FOREIGN_HANDLE', () => change(asPage(MAX_SLOTS << 1)))
    for (const none of [undefined, '2', 0.5, 2 ** 31, {}, Number.NaN]) {
      assertCode('NETMEM_WRONG_KIND', () => change(asPage(none)))
    }
  }
  assertCode('NETMEM_OUT_OF_RANGE', () => retain(again, 0))
  assert.equal(pool.references(again), 1)
  release(again)
  assert.deepEqual(pool.stats().recycle.cached, before.recycle.cached + 1)
  await end(pool)
  assertCode('NETMEM_FOREIGN_HANDLE', () => release(again))
})

test('bytes and places are found by the handle, the same each time', async () => {
  const pages = poolOf(2)
  const device = createPool(testDeviceProvider({ netIovs: 2, bindingId: 7 }))
  const dual = dualPool(testDeviceProvider({ netIovs: 2 }))
  const [page, iov, either] = [some(pages.alloc()), some(device.alloc()), some(dual.alloc())]
  assert.equal(bytesOf(page), pages.bytes(page))
  const place = device.place(iov)
  assert.deepEqual(place, { binding: { id: 7 }, offset: 4096 })
  assert.equal(placeOf(iov), place)
  assert.equal(device.place(iov), place)
  assertCode('NETMEM_WRONG_KIND', () => placeOf(page as never))
  assertCode('NETMEM_WRONG_KIND', () => bytesOf(asPage(iov)))
  release(page)
  device.put(iov)
  assertCode('NETMEM_DOUBLE_PUT', () => device.place(iov))
  dual.put(either)
  await end(pages, device, dual)
})

test('a reservation is filled, and what is left goes to the next', async () => {
  const pool = poolOf(2)
  const first = some(pool.reserve(100))
  assert.deepEqual([first.offset, first.room, pool.out], [0, pageSize, 1])
  const { page } = first
  assert.equal(first.commit(60), page)
  assert.equal(first.room, 0)
  assertCode('NETMEM_STALE_HANDLE', () => first.commit(1))
  first.cancel()
  assert.equal(pool.references(page), 1)
  const second = some(pool.reserve(pageSize - 128))
  assert.deepEqual([second.page, second.offset, second.room], [page, 128, pageSize - 128])
  // A second reservation gets a fresh page while the first is open.
  const third = some(pool.reserve(1))
  assert.notEqual(third.page, page)
  assertCode('NETMEM_OUT_OF_RANGE', () => third.commit(pageSize + 1))
  third.cancel()
  assert.equal(pool.out, 1)
  second.cancel()
  release(page)
  assert.equal(pool.out, 0)
  for (const bytes of [0, -1, 1.5, pageSize + 1]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => pool.reserve(bytes))
  }
  // The rest went with the page's last reference.
  const fourth = some(pool.reserve(1))
  assert.equal(fourth.offset, 0)
  fourth.cancel()
  await end(pool)
})

test('a reservation continues while there is room, with a reference for each part', async () => {
  const pool = poolOf(1)
  const reservation = some(pool.reserve(1024))
  for (let part = 0; part < 4; part++) {
    assert.equal(reservation.offset, part * 1024)
    reservation.commit(1024, true)
  }
  assert.equal(reservation.room, 0)
  assert.equal(pool.references(reservation.page), 4)
  assert.equal(pool.reserve(1), undefined)
  for (let part = 0; part < 4; part++) release(reservation.page)
  const cancelled = some(pool.reserve(1))
  cancelled.commit(1, true)
  cancelled.cancel()
  assert.equal(pool.references(cancelled.page), 1)
  const rest = some(pool.reserve(1))
  assert.deepEqual([rest.page, rest.offset], [cancelled.page, 128])
  rest.cancel()
  release(cancelled.page)
  await end(pool)
})

test('frags are cut from one page until it is full', async () => {
  const pool = poolOf(2)
  const frags = Array.from({ length: 5 }, (_, n) => {
    const frag = some(pool.allocFrag(1000))
    frag.bytes.fill(n)
    return frag
  })
  assert.equal(pool.out, 2)
  assert.equal(pool.stats().handles, 0)
  for (const [n, frag] of frags.entries()) {
    assert.equal(frag.length, 1000)
    assert.ok(frag.bytes.every((byte) => byte === n))
    frag.release()
  }
  await end(pool)
})

test('the last release of a page whose rest was left recycles it', async () => {
  const pool = poolOf(1)
  for (let uses = 0; uses < 2 ** 15; uses++) {
    const frag = some(pool.allocFrag(1000))
    frag.release()
    assert.equal(pool.out, 0)
  }
  // The rest was not taken, and the slot has gone round.
  const page = some(pool.alloc())
  assert.equal(pool.reserve(1), undefined)
  assert.equal(pool.references(page), 1)
  release(page)
  await end(pool)
})

test('pools are listed with what they count', async () => {
  const named = createPool(hostProvider({ pages: 2, pageSize }), { name: 'uploads' })
  const other = createPool(testDeviceProvider({ netIovs: 100 }))
  const page = some(named.alloc())
  const mine = () => pools().filter(({ name }) => name === 'uploads' || name === other.name)
  const [first, second] = mine()
  assert.deepEqual(first, {
    name: 'uploads',
    kind: 'page',
    pageSize,
    capacity: 2,
    destroyed: false,
    stats: named.stats(),
    held: { cache: 1, ring: 0, posted: 0, sockets: 0, application: 1 },
  })
  assert.match(other.name, /^pool \d+$/)
  assert.equal(second?.kind, 'net_iov')
  const done = named.destroy()
  assert.equal(mine()[0]?.destroyed, true)
  release(page)
  await done
  assert.equal(mine().length, 1)
  await end(other)
  assertCode('NETMEM_INVALID_ARGUMENT', () =>
    createPool(hostProvider({ pages: 1 }), { name: 5 as never }),
  )
})

test('a provider without one of its operations makes no pool, and the error names it', () => {
  for (const name of ['init', 'alloc', 'release', 'destroy', 'bytes'] as const) {
    assert.throws(
      () => createPool({ ...hostProvider({ pages: 1 }), [name]: undefined }),
      (error: Error) => isNetmemError(error) && error.message.includes(`${name}()`),
    )
  }
})

test('a pool that is dropped without destroy() is collected, and its handles are free', async () => {
  const before = pools().length
  const provider = hostProvider({ pages: 70, pageSize })
  let held: Page | undefined
  const drop = (): WeakRef<ArrayBufferLike>[] => {
    held = some(createPool(provider).alloc())
    bytesOf(held).fill(1)
    return Array.from({ length: 50 }, () => {
      const pool = poolOf(70)
      const pages = take(70, pool)
      for (const page of pages) pool.put(page)
      const again = some(pool.alloc())
      const memory = new WeakRef(pool.bytes(again).buffer)
      release(again)
      return memory
    })
  }
  const memory = drop()
  assert.equal(pools().length, before + 51)
  const collected = async (done: () => boolean, what: string): Promise<void> =>
    until(() => {
      some(globalThis.gc)()
      return done()
    }, what)
  await collected(() => pools().length === before + 1, '50 ranges are free')
  await collected(() => memory.every((ref) => ref.deref() === undefined), 'their memory is free')
  // The memory of one is out, which keeps it.
  assert.equal(pools().at(-1)?.stats.out, 1)
  assert.equal(bytesOf(some(held))[0], 1)
  release(some(held))
  assert.equal(pools().length, before)
  await end(createPool(provider))
})
