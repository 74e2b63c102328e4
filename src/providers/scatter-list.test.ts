import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertCode } from '../testing/pools.test.helper.ts'
import type { DmaSegment } from './dma-address.ts'
import { cutIntoChunks } from './scatter-list.ts'

const CHUNK = 4096

function segment(region: number, offset: number, bytes: number): DmaSegment {
  return { address: { region, offset }, bytes }
}

test('chunks lie in the order of the list and where its segments do', () => {
  const list = [
    segment(7, 100, 2 * CHUNK),
    segment(3, 0, CHUNK),
    segment(7, 2 ** 31 - CHUNK, CHUNK),
  ]
  assert.deepEqual(cutIntoChunks(list, CHUNK), {
    regions: [7, 7, 3, 7],
    offsets: [100, 100 + CHUNK, 0, 2 ** 31 - CHUNK],
  })
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
      assertCode('NETMEM_DMABUF_UNALIGNED', () => cutIntoChunks(list, CHUNK))
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
    assertCode('NETMEM_DMABUF_SEGMENTS', () => cutIntoChunks(list, CHUNK))
  }
  const beside = [segment(1, CHUNK, CHUNK), segment(2, 0, CHUNK), segment(1, 0, CHUNK)]
  assert.equal(cutIntoChunks(beside, CHUNK).regions.length, 3)
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
    assertCode('NETMEM_OUT_OF_RANGE', () => cutIntoChunks([bad], CHUNK))
  }
  const make = (list: unknown): unknown => cutIntoChunks(list as DmaSegment[], CHUNK)
  for (const bad of [undefined, 'list', {}, [null], [{}], [{ address: {}, bytes: CHUNK }]]) {
    assertCode('NETMEM_INVALID_ARGUMENT', () => make(bad))
  }
})
