import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'
import { assertCode } from '../testing/pools.test.helper.ts'
import { ChunkAllocator } from './chunk-allocator.ts'
import type { DmaSegment } from './dma-address.ts'

const CHUNK = 4096

function segment(region: number, offset: number, bytes: number): DmaSegment {
  return { address: { region, offset }, bytes }
}

test('chunks are numbered in the order of the list and lie where its segments do', () => {
  const chunks = new ChunkAllocator(
    [segment(7, 100, 2 * CHUNK), segment(3, 0, CHUNK), segment(7, 2 ** 31 - CHUNK, CHUNK)],
    CHUNK,
  )
  assert.equal(chunks.chunks, 4)
  const places = [0, 1, 2, 3].map((chunk) => [chunks.region(chunk), chunks.offset(chunk)])
  assert.deepEqual(places, [
    [7, 100],
    [7, 100 + CHUNK],
    [3, 0],
    [7, 2 ** 31 - CHUNK],
  ])
  for (const chunk of [-1, 4, 0.5, Number.NaN]) {
    assert.equal(chunks.region(chunk), -1)
    assert.equal(chunks.offset(chunk), -1)
  }
})

test('the lowest chunk goes out first, and what came back last before all others', () => {
  const chunks = new ChunkAllocator([segment(0, 0, 3 * CHUNK)], CHUNK)
  assert.deepEqual([chunks.alloc(), chunks.alloc(), chunks.alloc(), chunks.alloc()], [0, 1, 2, -1])
  chunks.free(0)
  chunks.free(2)
  chunks.free(1)
  assert.equal(chunks.available, 3)
  assert.deepEqual([chunks.alloc(), chunks.alloc(), chunks.alloc(), chunks.alloc()], [1, 2, 0, -1])
})

test('as a plain set does, whatever comes back in whichever order', () => {
  const steps = fc.array(fc.integer({ min: -3, max: 12 }), { maxLength: 200 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), steps, (count, actions) => {
      const chunks = new ChunkAllocator([segment(1, 0, count * CHUNK)], CHUNK)
      const out = new Set<number>()
      for (const action of actions) {
        if (action < 0) {
          const chunk = chunks.alloc()
          assert.equal(chunk < 0, out.size === count)
          if (chunk < 0) continue
          assert.ok(chunk < count && !out.has(chunk))
          out.add(chunk)
        } else if (out.delete(action)) {
          chunks.free(action)
        } else {
          assertCode('NETMEM_DOUBLE_PUT', () => chunks.free(action))
        }
        assert.equal(chunks.available, count - out.size)
      }
    }),
  )
})

test('a segment that is no multiple of the chunk is refused (CVE-2026-64124)', () => {
  for (const bytes of [1, CHUNK - 1, CHUNK + 1, 2 * CHUNK + 2048]) {
    const lists = [
      [segment(0, 0, bytes)],
      [segment(0, 0, CHUNK), segment(1, 0, bytes)],
      // Whole chunks together, and not one by one.
      [segment(0, 0, bytes), segment(1, 0, 4 * CHUNK - bytes)],
    ]
    for (const list of lists) {
      assertCode('NETMEM_DMABUF_UNALIGNED', () => new ChunkAllocator(list, CHUNK))
    }
  }
})

test('a list without segments, or with a place twice, is refused', () => {
  const invalid = [
    [],
    [segment(1, 0, CHUNK), segment(1, 0, CHUNK)],
    [segment(1, CHUNK, CHUNK), segment(2, 0, CHUNK), segment(1, 0, 2 * CHUNK)],
    [segment(1, 0, 4 * CHUNK), segment(1, 100, CHUNK)],
  ]
  for (const list of invalid) {
    assertCode('NETMEM_DMABUF_SEGMENTS', () => new ChunkAllocator(list, CHUNK))
  }
  const beside = [segment(1, CHUNK, CHUNK), segment(2, 0, CHUNK), segment(1, 0, CHUNK)]
  assert.equal(new ChunkAllocator(beside, CHUNK).chunks, 3)
})

test('what is no DMA address is refused', () => {
  const outOfRange = [
    segment(-1, 0, CHUNK),
    segment(2 ** 31, 0, CHUNK),
    segment(0, -1, CHUNK),
    segment(0, 0.5, CHUNK),
    segment(0, 0, 0),
    segment(0, 0, -CHUNK),
    segment(0, 2 ** 31 - CHUNK, 2 * CHUNK),
  ]
  for (const bad of outOfRange) {
    assertCode('NETMEM_OUT_OF_RANGE', () => new ChunkAllocator([bad], CHUNK))
  }
  const make = (list: unknown): unknown => new ChunkAllocator(list as DmaSegment[], CHUNK)
  for (const bad of [undefined, 'list', {}, [null], [{}], [{ address: {}, bytes: CHUNK }]]) {
    assertCode('NETMEM_INVALID_ARGUMENT', () => make(bad))
  }
})
