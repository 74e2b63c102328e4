// Mistakes of JavaScript callers end in an error with a code, and change nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../errors.ts'
import { bits, LAYOUT, type Page, retain } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { testDeviceProvider } from '../testing/index.ts'
import { assertCode, end, some, take } from '../testing/pools.test.helper.ts'
import { createPool, dualPool } from './create-pool.ts'
import type { PagePool } from './page-pool.ts'

const { INDEX_MASK, INDEX_SHIFT, TAG } = LAYOUT
const pageSize = 4096
const smallPool = (): PagePool<Page> => createPool(hostProvider({ pages: 8, pageSize }))

/** A value of no kind, as a page. */
const asPage = (value: unknown): Page => value as Page

/** Every operation that takes a handle refuses `bad` with `code` and leaves the pool as it was. */
function refused(pool: PagePool<Page>, bad: unknown, code: ErrorCode): void {
  const page = asPage(bad)
  const before = pool.stats()
  const available = pool.available
  const what = `${typeof bad} ${String(bad)}`
  assertCode(code, () => pool.put(page), `put of ${what}`)
  assertCode(code, () => pool.put(page, false), `put into the ring of ${what}`)
  assertCode(code, () => pool.references(page), `references of ${what}`)
  assertCode(code, () => pool.bytes(page), `bytes of ${what}`)
  assert.deepEqual(pool.stats(), before)
  assert.equal(pool.available, available)
}

/** The pool hands out all it has, each page once: nothing was done to it behind its accounts. */
async function soundAndEnd(pool: PagePool<Page>, out: Page[] = []): Promise<void> {
  for (const page of out) pool.put(page)
  const all = take(pool.capacity, pool)
  assert.equal(pool.alloc(), undefined)
  assert.equal(new Set(all).size, pool.capacity)
  for (const [index, page] of all.entries()) pool.bytes(page).fill(index)
  for (const [index, page] of all.entries()) assert.equal(pool.bytes(page)[pageSize - 1], index)
  for (const page of all) pool.put(page)
  await end(pool)
}

test('what is no handle is refused, by the first pool of a thread and by every other', async () => {
  const pools = [smallPool(), smallPool(), smallPool()]
  for (const pool of pools) {
    const out = take(8, pool)
    for (const page of out.slice(1)) retain(page)
    const handle = bits(some(out[0]))
    const noHandles: unknown[] = [undefined, null, Number.NaN, '0', 'page', {}, [], true, () => 0]
    const noIntegers = [handle + 0.5, 0.5, 2 ** 31, 2 ** 32 + handle, -(2 ** 31) - 1, -(2 ** 53)]
    const alike = [String(handle), [handle], { valueOf: () => handle }, new Number(handle)]
    for (const bad of [...noHandles, ...noIntegers, ...alike]) {
      refused(pool, bad, 'NETMEM_WRONG_KIND')
      assertCode('NETMEM_WRONG_KIND', () => retain(asPage(bad)))
    }
    // The tag of a net_iov, and indices that no pool has.
    for (const bad of [-1, -handle - 1]) refused(pool, bad, 'NETMEM_WRONG_KIND')
    for (const bad of [-2, -handle - 2]) refused(pool, bad, 'NETMEM_FOREIGN_HANDLE')
    for (const page of out.slice(1)) pool.put(page)
    await soundAndEnd(pool, out)
  }
})

test('handles that cannot be compared with numbers are refused too', async () => {
  const pool = smallPool()
  for (const bad of [5n, Symbol('page')]) assert.throws(() => pool.put(asPage(bad)), TypeError)
  await soundAndEnd(pool)
})

test('a handle of the other kind is refused', async () => {
  const pages = smallPool()
  const device = createPool(testDeviceProvider({ netIovs: 8 }))
  const dual = dualPool(testDeviceProvider({ netIovs: 8 }))
  const [page, iov, either] = [some(pages.alloc()), some(device.alloc()), some(dual.alloc())]
  refused(pages, iov, 'NETMEM_WRONG_KIND')
  refused(pages, either, 'NETMEM_WRONG_KIND')
  // The same slot and generation, with the other tag.
  refused(pages, bits(page) | TAG, 'NETMEM_WRONG_KIND')
  assertCode('NETMEM_WRONG_KIND', () => device.put(page as never))
  assertCode('NETMEM_WRONG_KIND', () => dual.put(page))
  dual.put(either)
  device.put(iov)
  await end(device, dual)
  await soundAndEnd(pages, [page])
})

test('a net_iov has no bytes for any caller', async () => {
  const device = createPool(testDeviceProvider({ netIovs: 8 }))
  const dual = dualPool(testDeviceProvider({ netIovs: 8 }))
  const [iov, either] = [some(device.alloc()), some(dual.alloc())]
  assertCode('NETMEM_WRONG_KIND', () => device.bytes(iov as never))
  assertCode('NETMEM_WRONG_KIND', () => dual.bytes(asPage(either)))
  const share = device.share as unknown as () => unknown
  assertCode('NETMEM_NOT_SHARED', () => share.call(device))
  device.put(iov)
  dual.put(either)
  await end(device, dual)
})

test('a handle put twice is refused, wherever the memory rests', async () => {
  const pool = createPool(hostProvider({ pages: 200, pageSize }), { ringSize: 1 })
  const pages = take(200, pool)
  // Puts go into the ring, to the provider, into the cache, and past the full cache to the provider.
  for (const [index, page] of pages.entries()) pool.put(page, index >= 2)
  assert.equal(pool.stats().recycle.ring_full, 200 - 128 - 1)
  for (const page of pages) refused(pool, page, 'NETMEM_DOUBLE_PUT')
  await soundAndEnd(pool)
})

test('a handle of an earlier use is refused while others have the memory', async () => {
  const pool = createPool(hostProvider({ pages: 1, pageSize }))
  const first = some(pool.alloc())
  pool.put(first)
  refused(pool, first, 'NETMEM_DOUBLE_PUT')
  const second = some(pool.alloc())
  refused(pool, first, 'NETMEM_STALE_HANDLE')
  pool.put(second, false)
  refused(pool, first, 'NETMEM_STALE_HANDLE')
  refused(pool, second, 'NETMEM_DOUBLE_PUT')
  const third = some(pool.alloc())
  refused(pool, first, 'NETMEM_STALE_HANDLE')
  refused(pool, second, 'NETMEM_STALE_HANDLE')
  retain(third)
  refused(pool, second, 'NETMEM_STALE_HANDLE')
  pool.put(third)
  assert.equal(pool.references(third), 1)
  await soundAndEnd(pool, [third])
})

test('a handle from before its generation came round again is refused 16,383 times', async () => {
  const pool = createPool(hostProvider({ pages: 1, pageSize }))
  const first = some(pool.alloc())
  const seen = new Set([bits(first)])
  pool.put(first)
  for (let uses = 1; uses < 2 ** 14; uses++) {
    const page = some(pool.alloc())
    assert.ok(!seen.has(bits(page)))
    seen.add(bits(page))
    assertCode('NETMEM_STALE_HANDLE', () => pool.put(first))
    pool.put(page, uses % 2 === 0)
  }
  // The price of 32-bit handles: after 2^14 uses of one slot the first handle is right again.
  const page = some(pool.alloc())
  assert.equal(page, first)
  await soundAndEnd(pool, [page])
})

test('more references than were taken are not given back', async () => {
  const pool = smallPool()
  const page = some(pool.alloc())
  retain(page, 3)
  for (let left = 4; left > 0; left--) {
    assert.equal(pool.references(page), left)
    assert.equal(pool.out, 1)
    pool.put(page, left % 2 === 0)
  }
  assert.equal(pool.out, 0)
  refused(pool, page, 'NETMEM_DOUBLE_PUT')
  assertCode('NETMEM_DOUBLE_PUT', () => retain(page))
  for (const count of [0, -1, 1.5, Number.NaN, 2 ** 20 + 1]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => retain(page, count))
  }
  await soundAndEnd(pool)
})

test('references are as many as fit, and no more', async () => {
  const pool = smallPool()
  const page = some(pool.alloc())
  for (let calls = 0; calls < 2047; calls++) retain(page, 2 ** 20)
  assert.equal(pool.references(page), 2047 * 2 ** 20 + 1)
  assertCode('NETMEM_OUT_OF_RANGE', () => retain(page, 2 ** 20))
  assert.equal(pool.references(page), 2047 * 2 ** 20 + 1)
  // The references stay: two billion puts would take minutes.
})

test('a handle of another pool, or of none, is refused', async () => {
  const [pool, other] = [smallPool(), smallPool()]
  const page = some(pool.alloc())
  const foreign = some(other.alloc())
  refused(pool, foreign, 'NETMEM_FOREIGN_HANDLE')
  refused(other, page, 'NETMEM_FOREIGN_HANDLE')
  assert.throws(() => pool.put(foreign), /another pool/)
  // The last index belongs to no pool, nor do those after the last pool.
  const lastIndex = INDEX_MASK << INDEX_SHIFT
  refused(pool, lastIndex, 'NETMEM_FOREIGN_HANDLE')
  assert.throws(() => pool.put(asPage(lastIndex)), /no pool/)
  assertCode('NETMEM_FOREIGN_HANDLE', () => retain(asPage(lastIndex)))
  refused(pool, bits(page) + (5000 << INDEX_SHIFT), 'NETMEM_FOREIGN_HANDLE')
  await soundAndEnd(other, [foreign])
  // A pool's handles are foreign to others after its end, too.
  refused(pool, foreign, 'NETMEM_FOREIGN_HANDLE')
  await soundAndEnd(pool, [page])
})

test('a destroyed pool refuses its handles, and its successors refuse them too', async () => {
  const provider = hostProvider({ pages: 1, pageSize })
  const old: Page[] = []
  for (let pools = 0; pools < 10; pools++) {
    const pool = createPool(provider)
    for (let uses = 0; uses < 3; uses++) {
      const page = some(pool.alloc())
      for (const stale of old) assertCode('NETMEM_STALE_HANDLE', () => pool.put(stale))
      pool.put(page)
      old.push(page)
    }
    await end(pool)
    refused(pool, old.at(-1), 'NETMEM_DOUBLE_PUT')
  }
})
