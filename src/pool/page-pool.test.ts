// The page pool in small steps: where memory comes from, where it goes, and what is counted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NetIov, type Netmem, type Page, retain } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { testDeviceProvider } from '../testing/index.ts'
import { end, logged, some, take } from '../testing/pools.test.helper.ts'
import { createPool, dualPool } from './create-pool.ts'
import type { PagePool } from './page-pool.ts'

const pageSize = 4096

/** The counters that are not 0, by name. */
function counters<M extends Netmem>(pool: PagePool<M>): Record<string, number> {
  const { alloc, recycle } = pool.stats()
  return Object.fromEntries(Object.entries({ ...alloc, ...recycle }).filter(([, n]) => n !== 0))
}

/** A pool of pages and the log of its provider. */
function watchedPool(pages: number, ringSize?: number) {
  const provider = hostProvider({ pages, pageSize })
  const { log, ...operations } = logged<Page>(provider)
  const options = ringSize === undefined ? {} : { ringSize }
  const pool = createPool({ ...provider, ...operations }, options)
  return { pool, log, slot: (page: Page) => log.slot(page) }
}

test('the first alloc takes 64 pages from the provider and hands out the last of them', async () => {
  const { pool, log, slot } = watchedPool(100)
  assert.deepEqual(counters(pool), {})
  assert.equal(pool.inflight, 0)
  const page = some(pool.alloc())
  assert.deepEqual(log.wanted, [64])
  assert.equal(slot(page), log.given[63])
  assert.deepEqual(counters(pool), { slow: 1, empty: 1 })
  assert.deepEqual([pool.inflight, pool.out, pool.available], [64, 1, 99])
  const others = take(63, pool)
  assert.deepEqual(others.map(slot), log.given.slice(0, 63).reverse())
  assert.deepEqual(counters(pool), { fast: 63, slow: 1, empty: 1 })
  assert.deepEqual(log.wanted, [64])
  for (const m of [page, ...others]) pool.put(m)
  await end(pool)
})

test('the cache hands out last what came in first', async () => {
  const { pool } = watchedPool(8)
  const pages = take(8, pool)
  for (const page of pages) pool.put(page)
  assert.deepEqual(counters(pool), { slow: 1, empty: 1, fast: 7, cached: 8 })
  const bytes = pages.map((_, i) => some(pages[i]))
  const again = take(8, pool)
  assert.equal(again.length, bytes.length)
  assert.deepEqual(again.map(index), pages.map(index).reverse())
  for (const page of again) pool.put(page)
  await end(pool)
})

/** Index of a handle, without its generation. */
const index = (page: Page): number => ((page as unknown as number) >> 1) & 0x1ffff

test('the ring hands out first what came in first, 64 at a time', async () => {
  const { pool, log } = watchedPool(200)
  const pages = take(200, pool)
  assert.deepEqual(log.wanted, [64, 64, 64, 64])
  assert.deepEqual(counters(pool), { fast: 196, slow: 4, empty: 4 })
  for (const page of pages) pool.put(page, false)
  assert.deepEqual(counters(pool), { fast: 196, slow: 4, empty: 4, ring: 200 })
  assert.deepEqual([pool.out, pool.inflight, pool.available], [0, 200, 200])
  const first = take(64, pool)
  assert.deepEqual(first.map(index), pages.slice(0, 64).map(index).reverse())
  assert.deepEqual(counters(pool), { fast: 196 + 63, slow: 4, empty: 4, ring: 200, refill: 1 })
  const rest = take(136, pool)
  assert.deepEqual(rest.slice(128).map(index), pages.slice(192).map(index).reverse())
  assert.equal(counters(pool)['refill'], 4)
  assert.deepEqual(log.wanted, [64, 64, 64, 64])
  for (const page of [...first, ...rest]) pool.put(page)
  await end(pool)
})

test('a full cache counts, and passes on to the ring; a full ring to the provider', async () => {
  const { pool, log } = watchedPool(128 + 4 + 3, 4)
  const pages = take(135, pool)
  const before = counters(pool)
  for (const page of pages.slice(0, 128)) pool.put(page)
  assert.deepEqual(counters(pool), { ...before, cached: 128 })
  for (const page of pages.slice(128, 132)) pool.put(page)
  assert.deepEqual(counters(pool), { ...before, cached: 128, cache_full: 4, ring: 4 })
  assert.deepEqual(log.released, [])
  for (const page of pages.slice(132)) pool.put(page)
  const full = { ...before, cached: 128, cache_full: 7, ring: 4, ring_full: 3 }
  assert.deepEqual(counters(pool), full)
  assert.deepEqual(
    log.released,
    pages.slice(132).map((page) => log.slot(page)),
  )
  assert.deepEqual([pool.out, pool.inflight, pool.available], [0, 132, 135])
  await end(pool)
  assert.equal(log.released.length, 135)
  assert.equal(log.destroys, 1)
})

test('a put that is not direct leaves the cache alone', async () => {
  const { pool, log } = watchedPool(4, 2)
  const pages = take(4, pool)
  for (const page of pages) pool.put(page, false)
  assert.deepEqual(counters(pool), { slow: 1, empty: 1, fast: 3, ring: 2, ring_full: 2 })
  assert.equal(log.released.length, 2)
  await end(pool)
})

test('the ring has as many slots as asked for, rounded up to a power of two', async () => {
  for (const [asked, has] of [
    [1, 1],
    [2, 2],
    [3, 4],
    [5, 8],
    [100, 128],
  ] as const) {
    const { pool } = watchedPool(150, asked)
    for (const page of take(150, pool)) pool.put(page, false)
    assert.equal(counters(pool)['ring'], has)
    assert.equal(counters(pool)['ring_full'], 150 - has)
    await end(pool)
  }
})

test('a dry pool gives nothing and counts only that it was empty', async () => {
  const { pool } = watchedPool(2)
  const pages = take(2, pool)
  assert.deepEqual(counters(pool), { fast: 1, slow: 1, empty: 1 })
  for (let tries = 0; tries < 3; tries++) assert.equal(pool.alloc(), undefined)
  assert.deepEqual(counters(pool), { fast: 1, slow: 1, empty: 4 })
  assert.deepEqual([pool.out, pool.inflight, pool.available], [2, 2, 0])
  for (const page of pages) pool.put(page)
  assert.equal(pool.available, 2)
  await end(pool)
})

test('every allocation counts once: fast, refill or slow', async () => {
  const { pool } = watchedPool(300, 16)
  let allocations = 0
  for (let round = 0; round < 50; round++) {
    const pages = take(1 + ((round * 37) % 300), pool)
    allocations += pages.length
    for (const [i, page] of pages.entries()) pool.put(page, (i + round) % 3 > 0)
  }
  const { alloc } = pool.stats()
  assert.equal(alloc.fast + alloc.refill + alloc.slow, allocations)
  await end(pool)
})

test('a pool of net_iovs counts no slow allocations', async () => {
  for (const pool of [
    createPool(testDeviceProvider({ netIovs: 100 })),
    dualPool(testDeviceProvider({ netIovs: 100 })),
  ] as PagePool<NetIov>[]) {
    const iovs = take(100, pool)
    assert.equal(pool.alloc(), undefined)
    assert.deepEqual(counters(pool), { fast: 98, empty: 3 })
    for (const iov of iovs) pool.put(iov, false)
    pool.put(some(pool.alloc()))
    const after = { fast: 98, empty: 3, ring: 100, refill: 1, cached: 1 }
    assert.deepEqual(counters(pool), after)
    await end(pool)
  }
})

test('counters that only the provider has come from it, at any time', async () => {
  const provider = hostProvider({ pages: 1, pageSize })
  const counters = { waive: 0, slow_high_order: 0 }
  const pool = createPool({ ...provider, counters })
  counters.waive = 3
  counters.slow_high_order = 5
  assert.equal(pool.stats().alloc.waive, 3)
  assert.equal(pool.stats().alloc.slow_high_order, 5)
  await end(pool)
})

test('the last reference recycles, and only it', async () => {
  const { pool } = watchedPool(1)
  const page = some(pool.alloc())
  retain(page)
  retain(page, 2)
  const before = counters(pool)
  for (let left = 3; left > 0; left--) {
    pool.put(page, left % 2 === 0)
    assert.equal(pool.references(page), left)
    assert.deepEqual(counters(pool), before)
    assert.equal(pool.alloc(), undefined)
    before['empty'] = some(before['empty']) + 1
  }
  pool.put(page)
  assert.deepEqual(counters(pool), { ...before, cached: 1 })
  // The next use starts with one reference again.
  const next = some(pool.alloc())
  assert.equal(pool.references(next), 1)
  pool.put(next)
  await end(pool)
})

test('a page has the same bytes each time, and keeps them while it rests', async () => {
  const { pool } = watchedPool(1)
  const page = some(pool.alloc())
  const bytes = pool.bytes(page)
  assert.equal(bytes.byteLength, pageSize)
  assert.equal(pool.bytes(page), bytes)
  bytes.fill(9)
  pool.put(page, false)
  const again = some(pool.alloc())
  assert.equal(pool.bytes(again), bytes)
  assert.ok(bytes.every((byte) => byte === 9))
  pool.put(again)
  await end(pool)
})
