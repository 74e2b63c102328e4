import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../../testing/pools.test.helper.ts'
import { DmaEngine } from './dma-engine.ts'
import { DmaSpace } from './dma-space.ts'

function setUp(): { engine: DmaEngine; device: Uint8Array; host: Uint8Array } {
  const space = new DmaSpace()
  const device = Uint8Array.from({ length: 256 }, (_, at) => at)
  const host = new Uint8Array(new SharedArrayBuffer(64))
  assert.equal(space.map(device), 0)
  assert.equal(space.map(host), 1)
  return { engine: new DmaEngine(space), device, host }
}

test('it writes into a region, and shows what is there', () => {
  const { engine, device } = setUp()
  engine.write(0, 252, Uint8Array.of(1, 2, 3, 4))
  assert.deepEqual([...device.subarray(250)], [250, 251, 1, 2, 3, 4])
  assert.deepEqual([...engine.view(0, 253, 2)], [2, 3])
})

test('nothing is read or written outside a region', () => {
  const { engine, device, host } = setUp()
  const outside: [number, number][] = [
    [-1, 2],
    [0, 257],
    [256, 1],
    [250, 7],
    [0.5, 1],
    [0, 1.5],
    [0, -1],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
    [2 ** 53, 1],
  ]
  for (const [offset, bytes] of outside) {
    assertCode('NETMEM_DMA_FAULT', () => engine.view(0, offset, bytes))
    assertCode('NETMEM_DMA_FAULT', () => engine.startHash().update(0, offset, bytes))
  }
  assertCode('NETMEM_DMA_FAULT', () => engine.write(0, 255, new Uint8Array(2)))
  for (const region of [-1, 2, 0.5, Number.NaN]) {
    assertCode('NETMEM_DMA_FAULT', () => engine.view(region, 0, 1))
  }
  assert.ok(device.every((byte, at) => byte === at))
  assert.ok(host.every((byte) => byte === 0))
})

test('it hashes ranges as one stream', () => {
  const { engine, device } = setUp()
  const range = fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)])
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), (ranges) => {
      const hash = engine.startHash()
      const expected = createHash('sha256')
      for (const [start = 0, end = 0] of ranges) {
        hash.update(0, start, end - start)
        hash.updateBytes(Uint8Array.of(start))
        expected.update(device.slice(start, end)).update(Uint8Array.of(start))
      }
      assert.equal(hash.digest(), expected.digest('hex'))
    }),
  )
})
