import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../../testing/pools.test.helper.ts'
import { DmaSpace } from '../dma-space.ts'
import type { ExportedDmaBuf } from './exported-dma-buf.ts'
import { MemoryBank } from './memory-bank.ts'

const PAGE = 4096

/** Places of a dma-buf's bytes in the memory, one piece after the other. */
function placesOf(dmaBuf: ExportedDmaBuf): [offset: number, bytes: number][] {
  // The memory begins with its buffer.
  return dmaBuf.pieces(0, dmaBuf.bytes).map(({ byteOffset, length }) => [byteOffset, length])
}

test('a dma-buf of one segment is one piece of the memory', () => {
  const memory = new MemoryBank(new DmaSpace(), 10 * PAGE)
  const first = memory.exportDmaBuf(1, { bytes: 2 * PAGE })
  const second = memory.exportDmaBuf(2, { bytes: 8 * PAGE })
  assert.deepEqual(placesOf(first), [[0, 2 * PAGE]])
  assert.deepEqual(placesOf(second), [[2 * PAGE, 8 * PAGE]])
  assert.deepEqual([first.id, first.bytes, second.id, second.bytes], [1, 8192, 2, 32_768])
  memory.free()
})

test('segments are scattered over the memory: none beside the one before it', () => {
  const memory = new MemoryBank(new DmaSpace(), 16 * PAGE)
  const segments = [2 * PAGE, PAGE, 3 * PAGE, PAGE, PAGE]
  const places = placesOf(memory.exportDmaBuf(1, { bytes: 8 * PAGE, segments }))
  assert.deepEqual(
    places.map(([, bytes]) => bytes),
    segments,
  )
  for (const [at, [offset]] of places.entries()) {
    const before = places[at - 1]
    if (before !== undefined) assert.notEqual(before[0] + before[1], offset)
  }
  memory.free()
})

test('an attachment maps each segment by itself, and detach unmaps it', () => {
  const space = new DmaSpace()
  const memory = new MemoryBank(space, 8 * PAGE)
  const dmaBuf = memory.exportDmaBuf(1, { bytes: 3 * PAGE, segments: [2 * PAGE, PAGE] })
  const one = dmaBuf.attach()
  const other = dmaBuf.attach()
  assert.deepEqual(
    one.segments.map(({ address, bytes }) => [address.offset, bytes]),
    [
      [0, 2 * PAGE],
      [0, PAGE],
    ],
  )
  const [first, second] = one.segments.map(({ address }) => address.region)
  const [again] = other.segments.map(({ address }) => address.region)
  assert.ok(first !== undefined && second !== undefined && again !== undefined)
  // Both regions see the same bytes, and no byte beside them.
  space.memory(second)?.set([7], PAGE - 1)
  assert.deepEqual(dmaBuf.pieces(3 * PAGE - 1, 1), [Uint8Array.of(7)])
  space.memory(first)?.set([9], 5)
  assert.equal(space.memory(again)?.[5], 9)
  assert.equal(space.memory(second)?.length, PAGE)
  one.detach()
  assert.equal(space.memory(first), undefined)
  assert.equal(space.memory(again)?.[5], 9)
  other.detach()
  memory.free()
})

test('memory with attachments is not freed, nor is the dma-buf that has them', () => {
  const space = new DmaSpace()
  const memory = new MemoryBank(space, 8 * PAGE)
  const idle = memory.exportDmaBuf(1, { bytes: PAGE })
  const attached = memory.exportDmaBuf(2, { bytes: PAGE })
  const attachment = attached.attach()
  assertCode('NETMEM_DMABUF_BUSY', () => memory.free())
  assertCode('NETMEM_DMABUF_BUSY', () => attached.close())
  // The refusals changed nothing.
  assert.equal(memory.exportDmaBuf(3, { bytes: 6 * PAGE }).bytes, 6 * PAGE)
  assertCode('NETMEM_DEVICE_MEMORY', () => memory.exportDmaBuf(4, { bytes: PAGE }))
  attachment.detach()
  idle.close()
  memory.free()
})

test('a closed dma-buf gives its memory back, whole', () => {
  const memory = new MemoryBank(new DmaSpace(), 8 * PAGE)
  const segments = [PAGE, PAGE, PAGE, PAGE]
  const bufs = [1, 2].map((id) => memory.exportDmaBuf(id, { bytes: 4 * PAGE, segments }))
  assertCode('NETMEM_DEVICE_MEMORY', () => memory.exportDmaBuf(3, { bytes: PAGE }))
  for (const dmaBuf of bufs) dmaBuf.close()
  for (const dmaBuf of bufs) dmaBuf.close()
  assert.equal(memory.exportDmaBuf(4, { bytes: 8 * PAGE }).bytes, 8 * PAGE)
  memory.free()
})

test('exports and closes in any order never share a byte and lose none', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
  const step = fc.oneof(lengths, fc.nat(20))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const memory = new MemoryBank(new DmaSpace(), 64)
      const owner = new Int32Array(64)
      const bufs: ExportedDmaBuf[] = []
      const end = (dmaBuf: ExportedDmaBuf): void => {
        for (const [at, bytes] of placesOf(dmaBuf)) owner.fill(0, at, at + bytes)
        dmaBuf.close()
      }
      for (const [at, action] of steps.entries()) {
        if (typeof action === 'number') {
          const [dmaBuf] = bufs.splice(action, 1)
          if (dmaBuf !== undefined) end(dmaBuf)
          continue
        }
        const bytes = action.reduce((sum, length) => sum + length, 0)
        const free = owner.reduce((sum, id) => sum + (id === 0 ? 1 : 0), 0)
        try {
          bufs.push(memory.exportDmaBuf(at + 1, { bytes, segments: action }))
        } catch {
          // Enough may be free in pieces that are too small, but then it is in pieces.
          assert.ok(bytes > free || bufs.length > 0)
          continue
        }
        for (const [offset, length] of placesOf(bufs.at(-1) ?? assert.fail())) {
          for (let byte = offset; byte < offset + length; byte++) {
            assert.equal(owner[byte], 0)
            owner[byte] = at + 1
          }
        }
      }
      for (const dmaBuf of bufs) end(dmaBuf)
      assert.deepEqual(placesOf(memory.exportDmaBuf(99, { bytes: 64 })), [[0, 64]])
      memory.free()
    }),
    { numRuns: 50 },
  )
})

test('the pieces of any range are that range', () => {
  const memory = new MemoryBank(new DmaSpace(), 100)
  const dmaBuf = memory.exportDmaBuf(1, { bytes: 50, segments: [7, 1, 20, 2, 20] })
  const places = placesOf(dmaBuf).flatMap(([offset, bytes]) =>
    Array.from({ length: bytes }, (_, at) => offset + at),
  )
  for (let offset = 0; offset <= 50; offset++) {
    for (let bytes = 0; offset + bytes <= 50; bytes++) {
      const pieces = dmaBuf
        .pieces(offset, bytes)
        .flatMap(({ byteOffset, length }) => Array.from({ length }, (_, at) => byteOffset + at))
      assert.deepEqual(pieces, places.slice(offset, offset + bytes))
    }
  }
  const outside: [number, number][] = [
    [-1, 1],
    [50, 1],
    [0, 51],
    [0.5, 1],
    [1, -1],
    [Number.NaN, 1],
  ]
  for (const [offset, bytes] of outside) {
    assertCode('NETMEM_DMA_FAULT', () => dmaBuf.pieces(offset, bytes))
  }
  memory.free()
})

test('what makes no dma-buf is refused', () => {
  const space = new DmaSpace()
  for (const bytes of [0, -1, 0.5, 2 ** 31 + 1, Number.NaN]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => new MemoryBank(space, bytes))
  }
  const memory = new MemoryBank(space, PAGE)
  for (const bytes of [0, PAGE + 1, 0.5]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => memory.exportDmaBuf(1, { bytes }))
  }
  for (const segments of [[], [0], [PAGE + 1], [-1, PAGE + 1], [0.5, PAGE - 0.5]]) {
    assertCode('NETMEM_OUT_OF_RANGE', () => memory.exportDmaBuf(1, { bytes: PAGE, segments }))
  }
  for (const segments of [[PAGE - 1], [PAGE, 1]]) {
    assertCode('NETMEM_DMABUF_INVALID', () => memory.exportDmaBuf(1, { bytes: PAGE, segments }))
  }
  memory.free()
})
