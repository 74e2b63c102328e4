import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Page, retain } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { assertCode, end, some } from '../testing/pools.test.helper.ts'
import { RX_COPYBREAK } from './copies.ts'
import { createFrag } from './create-frag.ts'
import { createPool } from './create-pool.ts'
import { copiedFrag, type HostFrag } from './frag.ts'
import type { PagePool } from './page-pool.ts'

const pageSize = 64 * 1024

/** A pool of two pages and one of its pages, filled with the numbers of its bytes. */
function setup(): { pool: PagePool<Page>; page: Page } {
  const pool = createPool(hostProvider({ pages: 2, pageSize }))
  const page = some(pool.alloc())
  for (const [index] of pool.bytes(page).entries()) pool.bytes(page)[index] = index
  return { pool, page }
}

/** Every use of a frag that has been released throws. Releasing it again does not. */
function assertReleased(frag: HostFrag): void {
  const borrower = { once: () => {} }
  for (const use of [
    () => frag.bytes,
    () => frag.copy(),
    () => frag.slice(),
    () => frag.lend(borrower),
  ]) {
    assertCode('NETMEM_FRAG_RELEASED', use)
  }
  frag.release()
  frag[Symbol.dispose]()
}

test('a frag is its bytes of the page, until it is released', async () => {
  const { pool, page } = setup()
  const frag = createFrag(pool, page, 1000, 20_000)
  assert.equal(frag.kind, 'page')
  assert.equal(frag.length, 20_000)
  assert.equal(frag.bytes.buffer, pool.bytes(page).buffer)
  assert.deepEqual(frag.bytes, pool.bytes(page).subarray(1000, 21_000))
  assert.equal(frag.bytes, frag.bytes)
  frag.release()
  assert.equal(frag.length, 20_000)
  assertReleased(frag)
  await end(pool)
})

test('a frag is the whole page, or the rest of it, where nothing else is said', async () => {
  const { pool, page } = setup()
  retain(page)
  const whole = createFrag(pool, page)
  const rest = createFrag(pool, page, 1)
  assert.equal(whole.bytes, pool.bytes(page))
  assert.equal(rest.length, pageSize - 1)
  whole.release()
  rest.release()
  await end(pool)
})

test('a frag ends with its block', async () => {
  const { pool, page } = setup()
  {
    using frag = createFrag(pool, page)
    assert.equal(frag.length, pageSize)
    assert.equal(pool.out, 1)
  }
  assert.equal(pool.out, 0)
  await end(pool)
})

test('a frag is within its page', async () => {
  const { pool, page } = setup()
  for (const [offset, length] of [
    [-1, 1],
    [pageSize + 1, 0],
    [0, pageSize + 1],
    [1, pageSize],
    [0.5, 1],
    [0, Number.NaN],
  ] as const) {
    assertCode('NETMEM_OUT_OF_RANGE', () => createFrag(pool, page, offset, length))
  }
  const empty = createFrag(pool, page, pageSize, 0)
  assert.equal(empty.bytes.length, 0)
  empty.release()
  assertCode('NETMEM_DOUBLE_PUT', () => createFrag(pool, page))
  await end(pool)
})

test('a slice holds the page by itself, or is a copy when it is small', async () => {
  const { pool, page } = setup()
  const frag = createFrag(pool, page, 100)
  const small = frag.slice(1, 1 + RX_COPYBREAK)
  const large = frag.slice(1, 2 + RX_COPYBREAK)
  const rest = frag.slice(30_000)
  const all = frag.slice()
  const expected = frag.bytes.slice(1, 2 + RX_COPYBREAK)
  assert.equal(pool.references(page), 4)
  const { limit, ...copied } = pool.stats().copied
  assert.deepEqual(copied, { frags: 1, bytes: RX_COPYBREAK, bytes_out: RX_COPYBREAK })
  assert.equal(limit, pool.capacity * pool.pageSize)
  frag.release()
  assertReleased(frag)
  assert.equal(rest.length, pageSize - 100 - 30_000)
  assert.equal(all.length, pageSize - 100)
  assert.notEqual(small.bytes.buffer, pool.bytes(page).buffer)
  assert.equal(large.bytes.buffer, pool.bytes(page).buffer)
  assert.deepEqual(small.bytes, expected.subarray(0, RX_COPYBREAK))
  assert.deepEqual(large.bytes, expected)
  // A slice of a slice counts from the slice.
  const inner = large.slice(10)
  assert.deepEqual(inner.bytes, expected.subarray(10))
  for (const slice of [large, rest, all, inner]) slice.release()
  assert.equal(pool.out, 0)
  // The copy outlives the page's use.
  assert.deepEqual(small.bytes, expected.subarray(0, RX_COPYBREAK))
  small.release()
  assertReleased(small)
  assert.equal(pool.stats().copied.bytes_out, 0)
  await end(pool)
})

test('a slice is within its frag', async () => {
  const { pool, page } = setup()
  const frags = [createFrag(pool, page, 100, 40_000), copiedFrag(pool, new Uint8Array(40_000))]
  for (const frag of frags) {
    for (const [start, end] of [
      [-1, 5],
      [5, 4],
      [0, 40_001],
      [40_001, 40_001],
      [0.5, 4],
      [0, Number.NaN],
    ] as const) {
      assertCode('NETMEM_OUT_OF_RANGE', () => frag.slice(start, end))
    }
    const empty = frag.slice(40_000)
    assert.equal(empty.length, 0)
    empty.release()
    frag.release()
  }
  await end(pool)
})

test('a copied frag has memory of its own', async () => {
  const { pool, page } = setup()
  pool.put(page)
  const source = Buffer.from('payload')
  const frag = copiedFrag(pool, source)
  source.fill(0)
  assert.equal(Buffer.from(frag.bytes).toString(), 'payload')
  // The copy has a buffer of its own: a slab of Node's would be pinned.
  assert.equal(frag.bytes.buffer.byteLength, 7)
  const part = frag.slice(3)
  frag.release()
  assertReleased(frag)
  assert.equal(Buffer.from(part.bytes).toString(), 'load')
  const { limit, ...copied } = pool.stats().copied
  assert.deepEqual(copied, { frags: 2, bytes: 11, bytes_out: 4 })
  assert.equal(limit, pool.capacity * pool.pageSize)
  part.release()
  await end(pool)
})

test('copy() is memory of its own, of either sort of frag, that may be given away', async () => {
  const { pool, page } = setup()
  for (const frag of [
    createFrag(pool, page, 1000, 20_000),
    copiedFrag(
      pool,
      Uint8Array.from({ length: 20_000 }, (_, at) => at),
    ),
  ]) {
    const expected = Buffer.from(frag.bytes)
    const copy = frag.copy()
    assert.equal(copy.byteOffset, 0)
    assert.equal(copy.buffer.byteLength, 20_000)
    frag.bytes.fill(0)
    assert.ok(expected.equals(copy))
    const moved = structuredClone(copy, { transfer: [copy.buffer] })
    assert.equal(copy.byteLength, 0)
    assert.ok(expected.equals(moved))
    assert.equal(frag.bytes.byteLength, 20_000)
    frag.release()
    assertReleased(frag)
  }
  await end(pool)
})

test('frags of one page are released in any order, and after the pool is destroyed', async () => {
  const { pool, page } = setup()
  const frag = createFrag(pool, page)
  const slice = frag.slice(0, 32_768)
  const done = pool.destroy()
  frag.release()
  assert.equal(pool.out, 1)
  const another = slice.slice(0, 20_000)
  slice.release()
  another.release()
  await done
  await end(pool)
})
