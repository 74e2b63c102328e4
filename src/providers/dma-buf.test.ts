import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetIov } from '../netmem.ts'
import { createPool } from '../pool/create-pool.ts'
import { providerConformance } from '../testing/index.ts'
import { assertCode, end, some, take } from '../testing/pools.test.helper.ts'
import type { DmaSegment } from './dma-address.ts'
import { type DmaBufBinding, dmaBufProvider } from './dma-buf.ts'

const PAGE = 4096

/** Segments of whole pages, scattered over three regions with gaps and out of order. */
function scattered(pages: readonly number[]): DmaBufBinding {
  const segments: DmaSegment[] = pages.map((count, at) => ({
    address: { region: 2 - (at % 3), offset: (pages.length - at) * 2 ** 22 + 512 },
    bytes: count * PAGE,
  }))
  return { id: 5, bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0), segments }
}

function contiguous(bytes: number): DmaBufBinding {
  return { id: 1, bytes, segments: [{ address: { region: 4, offset: 8192 }, bytes }] }
}

providerConformance('dmaBufProvider, contiguous', () => dmaBufProvider(contiguous(37 * PAGE)))
providerConformance('dmaBufProvider, one page', () => dmaBufProvider(contiguous(PAGE)))
providerConformance('dmaBufProvider, scattered', () => dmaBufProvider(scattered([3, 1, 16, 2, 5])))
providerConformance('dmaBufProvider, a segment for each page', () =>
  dmaBufProvider(scattered(new Array<number>(29).fill(1))),
)
providerConformance('dmaBufProvider, pages of 64 KiB, scattered', () =>
  dmaBufProvider(scattered([16, 48, 32]), { pageSize: 2 ** 16 }),
)
providerConformance('dmaBufProvider, pages of 2 MiB', () =>
  dmaBufProvider(contiguous(2 ** 24), { pageSize: 2 ** 21 }),
)

test('a net_iov has its place in the dma-buf, and one for the device', async () => {
  const binding = scattered([2, 1, 3])
  const provider = dmaBufProvider(binding)
  const pool = createPool(provider)
  const iovs = take(6, pool)
  const places = new Map(
    iovs.map((iov) => [provider.offset(iov), [provider.dmaRegion(iov), provider.dmaOffset(iov)]]),
  )
  let offset = 0
  for (const { address, bytes } of binding.segments) {
    for (let at = 0; at < bytes; at += PAGE) {
      assert.deepEqual(places.get(offset), [address.region, address.offset + at])
      offset += PAGE
    }
  }
  for (const iov of iovs) pool.put(iov)
  await end(pool)
})

test('it reports what netlink would', async () => {
  const provider = dmaBufProvider(scattered([70, 30]))
  const report = { id: 5, pageSize: PAGE, pages: 100, bytes: 100 * PAGE, installed: true }
  assert.deepEqual(provider.report(), { ...report, free: 100 })
  assert.deepEqual(provider.binding, { id: 5 })
  const pool = createPool(provider)
  const iov = some(pool.alloc())
  // The pool takes 64 at once.
  assert.deepEqual(provider.report(), { ...report, free: 36 })
  pool.put(iov)
  await end(pool)
  assert.deepEqual(provider.report(), { ...report, free: 100 })
})

test('after uninstall nothing is given, and everything is still taken', async () => {
  const provider = dmaBufProvider(contiguous(100 * PAGE))
  const pool = createPool(provider)
  const iovs: NetIov[] = [some(pool.alloc())]
  provider.uninstall()
  provider.uninstall()
  assert.equal(provider.report().installed, false)
  for (let iov = pool.alloc(); iov !== undefined; iov = pool.alloc()) iovs.push(iov)
  // The pool has only those that it had fetched before.
  assert.equal(iovs.length, 64)
  const destroyed = pool.destroy()
  assert.equal(pool.inflight, 64)
  for (const iov of iovs) pool.put(iov)
  await destroyed
  assert.equal(pool.inflight, 0)
  assert.equal(provider.report().free, 100)
  assertCode('NETMEM_DMABUF_GONE', () => createPool(provider))
})

test('sizes that are not whole pages are refused (CVE-2026-64124)', () => {
  const two = [
    { address: { region: 0, offset: 0 }, bytes: PAGE + 2048 },
    { address: { region: 1, offset: 0 }, bytes: 3 * PAGE - 2048 },
  ]
  const unaligned: [DmaBufBinding, number][] = [
    [contiguous(PAGE - 1), PAGE],
    [contiguous(PAGE + 1), PAGE],
    [contiguous(3 * PAGE), 2 * PAGE],
    [{ id: 1, bytes: 4 * PAGE, segments: two }, PAGE],
    [scattered([16, 15, 1]), 2 ** 16],
  ]
  for (const [binding, pageSize] of unaligned) {
    assertCode('NETMEM_DMABUF_UNALIGNED', () => dmaBufProvider(binding, { pageSize }))
  }
})

test('a binding that contradicts itself, and other nonsense, is refused', () => {
  const more = { ...contiguous(4 * PAGE), bytes: 5 * PAGE }
  const less = { ...contiguous(4 * PAGE), bytes: 3 * PAGE }
  for (const binding of [more, less, { ...more, segments: [] }]) {
    assertCode('NETMEM_DMABUF_SEGMENTS', () => dmaBufProvider(binding))
  }
  for (const pageSize of [0, 2048, 4097, 2 ** 22, 2 ** 30]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => dmaBufProvider(contiguous(2 ** 30), { pageSize }))
  }
  for (const id of [0, -1, 2 ** 32, 1.5]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => dmaBufProvider({ ...contiguous(PAGE), id }))
  }
  // More pages than a thread has handles for.
  const huge = { ...contiguous(PAGE), bytes: 2 ** 40 }
  assertCode('NETMEM_OUT_OF_RANGE', () => dmaBufProvider(huge))
  const anyProvider = dmaBufProvider as (binding?: unknown) => unknown
  for (const binding of [undefined, null, 1, 'dmabuf', {}, { id: 1, bytes: PAGE }]) {
    assertCode('NETMEM_INVALID_ARGUMENT', () => anyProvider(binding))
  }
})

test('without a pool it gives and takes nothing', () => {
  const provider = dmaBufProvider(contiguous(PAGE))
  assertCode('NETMEM_PROVIDER_UNOPENED', () =>
    provider.alloc(1, () => assert.fail('gave something')),
  )
  assert.equal(provider.report().free, 1)
})
