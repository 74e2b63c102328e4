// The alloc cache while it is closed, and when another pool has its place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LAYOUT, type Page, release } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { assertCode, end, some, take } from '../testing/pools.test.helper.ts'
import * as allocCache from './alloc-cache.ts'
import { createPool } from './create-pool.ts'
import type { PagePool } from './page-pool.ts'
import { RecycleRing } from './recycle-ring.ts'

const { CACHE_SIZE } = LAYOUT
const pageSize = 4096
const poolOf = (pages: number): PagePool<Page> => createPool(hostProvider({ pages, pageSize }))

test('a closed cache keeps what it has, and takes and gives on the slow path alone', () => {
  const cache = new Int32Array(1 + CACHE_SIZE)
  for (const handle of [7, 8, 9]) allocCache.push(cache, handle)
  assert.equal(cache[allocCache.CACHED], 3)
  for (let times = 0; times < 2; times++) {
    allocCache.close(cache)
    assert.ok(Number(cache[allocCache.CACHED]) < 0)
    assert.deepEqual([...allocCache.handles(cache)], [7, 8, 9])
  }
  assert.equal(allocCache.pop(cache), 9)
  allocCache.push(cache, 10)
  allocCache.open(cache)
  allocCache.open(cache)
  assert.equal(cache[allocCache.CACHED], 3)
  while (allocCache.count(cache) > 0) allocCache.pop(cache)
  allocCache.close(cache)
  const ring = new RecycleRing(4)
  for (const handle of [1, 2, 3]) ring.push(handle)
  assert.equal(allocCache.refill(cache, ring, 2), 2)
  assert.deepEqual([...allocCache.handles(cache)], [1, 2])
  assert.ok(Number(cache[allocCache.CACHED]) < 0)
})

test('release wakes who waits for the pool', async () => {
  const pool = poolOf(2)
  const [first, second] = [some(pool.alloc()), some(pool.alloc())]
  const available = pool.whenAvailable()
  release(first)
  await available
  const again = some(pool.alloc())
  release(second)
  release(again)
  assert.equal(pool.stats().recycle.cached, 3)
  await end(pool)
})

test('a full cache sends what is released to the ring', async () => {
  const pool = poolOf(CACHE_SIZE + 2)
  for (const page of take(CACHE_SIZE + 2, pool)) release(page)
  const { recycle } = pool.stats()
  assert.deepEqual([recycle.cached, recycle.cache_full, recycle.ring], [CACHE_SIZE, 2, 2])
  const again = take(CACHE_SIZE + 2, pool)
  assert.equal(new Set(again).size, CACHE_SIZE + 2)
  for (const page of again) release(page)
  await end(pool)
})

test('a destroyed pool has no part in the cache of its successor', async () => {
  const pool = poolOf(4)
  const page = some(pool.alloc())
  const destroyed = pool.destroy()
  release(page)
  await destroyed
  const next = poolOf(4)
  const pages = take(4, next)
  for (const one of pages) release(one)
  assertCode('NETMEM_POOL_DESTROYED', () => pool.alloc())
  assertCode('NETMEM_STALE_HANDLE', () => release(page))
  assert.deepEqual([pool.out, pool.inflight, next.out], [0, 0, 0])
  assert.deepEqual(pool.core.resting, { cache: 0, ring: 0 })
  const again = take(4, next)
  assert.equal(new Set(again).size, 4)
  for (const one of again) release(one)
  await end(next)
})
