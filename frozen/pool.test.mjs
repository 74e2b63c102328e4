// The life of a pool and its handles.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createPool,
  dualPool,
  externalProvider,
  hostProvider,
  isNetIov,
  isNetmemError,
  isPage,
  sharedProvider,
} from 'netmem'
import { testDeviceProvider } from 'netmem/testing'
import { take, thrown, withPool } from './harness.mjs'
import { createSlotAllocator, referencesOf, retain } from './names.mjs'

const PAGE = 4096
const layout = { pages: 8, pageSize: PAGE }
const memory = () => new ArrayBuffer(8 * PAGE)

const pools = [
  ['host pages', () => createPool(hostProvider(layout))],
  ['shared pages', () => createPool(sharedProvider(layout))],
  ['pages of the caller', () => createPool(externalProvider(memory(), { pageSize: PAGE }))],
  ['net_iovs', () => createPool(testDeviceProvider({ netIovs: 8, pageSize: PAGE }))],
  ['pages in a dual pool', () => dualPool(hostProvider(layout))],
  ['net_iovs in a dual pool', () => dualPool(testDeviceProvider({ netIovs: 8, pageSize: PAGE }))],
  ['large pages', () => createPool(hostProvider({ pages: 8, pageSize: 65_536 }))],
]

for (const [name, make] of pools) {
  test(`${name}: counts, runs dry, and ends when the last reference is back`, async () => {
    const pool = make()
    assert.deepEqual([pool.capacity, pool.available, pool.out], [8, 8, 0])
    const all = take(pool, 8)
    assert.equal(new Set(all).size, 8)
    assert.equal(pool.alloc(), undefined)
    assert.deepEqual([pool.available, pool.out, pool.inflight], [0, 8, 8])
    assert.ok(all.every((m) => isPage(m) === (pool.kind === 'page') && isNetIov(m) !== isPage(m)))
    for (const m of all) pool.put(m)
    assert.deepEqual([pool.available, pool.out], [8, 0])
    const last = take(pool, 1)[0]
    const ended = pool.destroy()
    assert.equal(pool.destroy(), ended)
    assert.deepEqual([pool.destroyed, pool.available, pool.inflight], [true, 0, 1])
    assert.equal(
      thrown(() => pool.alloc()),
      'NETMEM_POOL_DESTROYED',
    )
    pool.put(last)
    await ended
    assert.equal(pool.inflight, 0)
  })

  test(`${name}: several references`, async () => {
    const pool = make()
    const [m] = take(pool, 1)
    assert.equal(referencesOf(pool, m), 1)
    retain(pool, m)
    retain(pool, m, 3)
    assert.equal(referencesOf(pool, m), 5)
    for (let left = 5; left > 0; left--) {
      assert.deepEqual([referencesOf(pool, m), pool.out], [left, 1])
      pool.put(m)
    }
    assert.equal(pool.out, 0)
    await pool.destroy()
  })

  test(`${name}: every wrong handle is refused before anything changes`, async () => {
    const pool = make()
    const other = make()
    const [m, used] = take(pool, 2)
    const [foreign] = take(other, 1)
    pool.put(used)
    const wrong = [
      [used, 'NETMEM_DOUBLE_PUT'],
      [foreign, 'NETMEM_FOREIGN_HANDLE'],
      [undefined, 'NETMEM_WRONG_KIND'],
      [null, 'NETMEM_WRONG_KIND'],
      [{}, 'NETMEM_WRONG_KIND'],
      ['1', 'NETMEM_WRONG_KIND'],
      [1.5, 'NETMEM_WRONG_KIND'],
      [m ^ 1, 'NETMEM_WRONG_KIND'],
    ]
    const before = pool.stats()
    for (const [handle, code] of wrong) {
      for (const call of [
        () => pool.put(handle),
        () => retain(pool, handle),
        () => referencesOf(pool, handle),
      ]) {
        assert.equal(thrown(call), code, String(handle))
      }
    }
    assert.deepEqual(pool.stats(), before)
    const [again] = take(pool, 1)
    assert.equal(
      thrown(() => pool.put(used)),
      'NETMEM_STALE_HANDLE',
    )
    for (const handle of [m, again]) pool.put(handle)
    other.put(foreign)
    await Promise.all([pool.destroy(), other.destroy()])
  })
}

test('bytes of a page: one view, all of it, and its own', () =>
  withPool(
    (pool) => {
      const pages = take(pool, 3)
      for (const [at, page] of pages.entries()) pool.bytes(page).fill(at + 1)
      for (const [at, page] of pages.entries()) {
        const bytes = pool.bytes(page)
        assert.equal(bytes.length, PAGE)
        assert.equal(pool.bytes(page), bytes)
        assert.ok(bytes.every((byte) => byte === at + 1))
        pool.put(page)
        assert.equal(
          thrown(() => pool.bytes(page)),
          'NETMEM_DOUBLE_PUT',
        )
      }
    },
    { pageSize: PAGE },
  ))

test('bytes of a net_iov are refused', async () => {
  const pool = createPool(testDeviceProvider({ netIovs: 1 }))
  const [iov] = take(pool, 1)
  assert.equal(
    thrown(() => pool.bytes(iov)),
    'NETMEM_WRONG_KIND',
  )
  pool.put(iov)
  await pool.destroy()
})

test('a pool that is dry calls back once memory is there, in order', () =>
  withPool(
    async (pool) => {
      const order = []
      const [page] = take(pool, 1)
      for (const n of [1, 2]) pool.notify(() => order.push(n))
      const available = pool.whenAvailable()
      await Promise.resolve()
      assert.deepEqual(order, [])
      pool.put(page)
      await available
      assert.deepEqual(order, [1, 2])
    },
    { pages: 1 },
  ))

test('a pool that is destroyed wakes those who wait', async () => {
  const pool = createPool(hostProvider({ pages: 1 }))
  const [page] = take(pool, 1)
  const available = pool.whenAvailable()
  const ended = pool.destroy()
  await available
  pool.put(page)
  await ended
})

test('the counters of the kernel', () =>
  withPool(
    (pool) => {
      const all = take(pool, 256)
      for (const page of all) pool.put(page)
      for (const page of take(pool, 100)) pool.put(page, false)
      const { alloc, recycle, inflight, out, handles } = pool.stats()
      assert.deepEqual(Object.keys(alloc), [
        'fast',
        'slow',
        'slow_high_order',
        'empty',
        'refill',
        'waive',
      ])
      assert.deepEqual(recycle, {
        cached: 128,
        cache_full: 128,
        ring: 228,
        ring_full: 0,
        released_refcnt: 0,
      })
      assert.equal(alloc.fast + alloc.slow + alloc.refill, 356)
      assert.deepEqual([inflight === 256, out, handles], [true, 0, 0])
    },
    { pages: 256, pageSize: PAGE },
  ))

test('bare handles are counted', () =>
  withPool((pool) => {
    const pages = take(pool, 3)
    assert.deepEqual([pool.stats().out, pool.stats().handles], [3, 3])
    for (const page of pages) pool.put(page)
  }))

test('a provider serves one pool at a time, and the next one when that is gone', async () => {
  const provider = hostProvider(layout)
  const pool = createPool(provider)
  assert.equal(
    thrown(() => createPool(provider)),
    'NETMEM_PROVIDER_BUSY',
  )
  const [page] = take(pool, 1)
  const ended = pool.destroy()
  assert.equal(
    thrown(() => createPool(provider)),
    'NETMEM_PROVIDER_BUSY',
  )
  pool.put(page)
  await ended
  await createPool(provider).destroy()
})

test('memory of the caller that moves away', async () => {
  const buffer = memory()
  const pool = createPool(externalProvider(buffer, { pageSize: PAGE }))
  const [page] = take(pool, 1)
  structuredClone(buffer, { transfer: [buffer] })
  assert.equal(
    thrown(() => pool.bytes(page)),
    'NETMEM_DESTINATION_DETACHED',
  )
  pool.put(page)
  await pool.destroy()
})

test('a WebAssembly memory may grow', async () => {
  const wasm = new WebAssembly.Memory({ initial: 1, maximum: 4 })
  const pool = createPool(externalProvider(wasm, { pageSize: PAGE }))
  const [page] = take(pool, 1)
  pool.bytes(page).fill(7)
  wasm.grow(1)
  assert.equal(pool.capacity, 16)
  assert.ok(pool.bytes(page).every((byte) => byte === 7))
  pool.put(page)
  await pool.destroy()
})

test('a pool of a provider that was written by hand', () => {
  const memories = Array.from({ length: 4 }, () => new Uint8Array(PAGE))
  const { slot, ...operations } = createSlotAllocator(memories.length)
  const provider = {
    kind: 'page',
    pageSize: PAGE,
    capacity: memories.length,
    ...operations,
    bytes: (page) => memories[slot(page)],
  }
  return withPool(
    (pool) => {
      const pages = take(pool, 4)
      assert.deepEqual(new Set(pages.map((page) => pool.bytes(page))), new Set(memories))
      for (const page of pages) pool.put(page)
    },
    { provider },
  )
})

const mistakes = [
  ['createPool()', () => createPool(), 'NETMEM_INVALID_ARGUMENT'],
  ['createPool({})', () => createPool({}), 'NETMEM_INVALID_ARGUMENT'],
  ['dualPool(null)', () => dualPool(null), 'NETMEM_INVALID_ARGUMENT'],
  [
    'an unknown option',
    () => createPool(hostProvider(layout), { ring: 1 }),
    'NETMEM_INVALID_ARGUMENT',
  ],
  ['ringSize 0', () => createPool(hostProvider(layout), { ringSize: 0 }), 'NETMEM_OUT_OF_RANGE'],
  ['pages 0', () => hostProvider({ pages: 0 }), 'NETMEM_OUT_OF_RANGE'],
  ['pages of text', () => hostProvider({ pages: '8' }), 'NETMEM_INVALID_ARGUMENT'],
  ['no layout', () => sharedProvider(), 'NETMEM_INVALID_ARGUMENT'],
  ['pageSize 5000', () => hostProvider({ pages: 1, pageSize: 5000 }), 'NETMEM_OUT_OF_RANGE'],
  ['pageSize 2048', () => sharedProvider({ pages: 1, pageSize: 2048 }), 'NETMEM_OUT_OF_RANGE'],
  ['no memory', () => externalProvider({}), 'NETMEM_INVALID_ARGUMENT'],
  [
    'memory of less than a page',
    () => externalProvider(new ArrayBuffer(100), { pageSize: PAGE }),
    'NETMEM_DESTINATION_TOO_SMALL',
  ],
  ['netIovs 0', () => testDeviceProvider({ netIovs: 0 }), 'NETMEM_OUT_OF_RANGE'],
]
for (const [name, call, code] of mistakes) {
  test(`refused: ${name}`, () => assert.equal(thrown(call), code))
}

test('errors are told from others', () => {
  assert.equal(isNetmemError(new Error('no')), false)
  assert.equal(isNetmemError(undefined), false)
})
