import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import {
  createFrameMemory,
  createPlainFrameMemory,
  createSimdFrameMemory,
  type FrameMemory,
} from './frame-memory.ts'

/** RFC 1071 as it is written: 16-bit words, the carry added back each time. */
function modelSum(bytes: Uint8Array, initial: number): number {
  let sum = initial
  while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000)
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}

const BYTES = 8192
const outside = { name: 'RangeError', code: 'NETMEM_OUT_OF_RANGE' }

function simd(bytes: number): FrameMemory {
  const memory = createSimdFrameMemory(bytes)
  assert.ok(memory, 'Node has WebAssembly with SIMD')
  return memory
}

for (const [name, make] of [
  ['WebAssembly', simd],
  ['plain JavaScript', createPlainFrameMemory],
] as const) {
  describe(`frame memory in ${name}`, () => {
    it('sums the example of RFC 1071', () => {
      const memory = make(16)
      memory.bytes.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])
      assert.equal(memory.sum(0, 8), 0xddf2)
      assert.equal(memory.sum(0, 0), 0)
      assert.equal(memory.sum(0, 0, 0x1_2345), 0x2346)
      assert.equal(memory.sum(6, 1), 0xf600)
    })

    it('sums any range as the model does', () => {
      const memory = make(BYTES)
      const fills = fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.constantFrom(Uint8Array.of(0), Uint8Array.of(0xff), Uint8Array.of(0xff, 0xfe)),
      )
      fc.assert(
        fc.property(
          fills,
          fc.nat(BYTES),
          fc.oneof(fc.nat(BYTES), fc.nat(150)),
          fc.oneof(fc.constant(0), fc.constant(0xffff_ffff), fc.nat(0xffff), fc.nat(0x7fff_ffff)),
          (fill, offset, most, initial) => {
            const length = Math.min(most, BYTES - offset)
            for (let at = 0; at < BYTES; at += fill.length) {
              memory.bytes.set(fill.subarray(0, BYTES - at), at)
            }
            assert.equal(
              memory.sum(offset, length, initial),
              modelSum(memory.bytes.subarray(offset, offset + length), initial),
            )
          },
        ),
        { numRuns: 400 },
      )
    })

    it('sums on from a sum', () => {
      const memory = make(BYTES)
      for (let at = 0; at < BYTES; at++) memory.bytes[at] = (at * 193) >> 3
      const whole = memory.sum(1, 4000)
      assert.equal(memory.sum(1001, 3000, memory.sum(1, 1000)), whole)
    })

    it('loses no carry in long ranges', () => {
      const bytes = 5 * 1024 * 1024 + 3
      const memory = make(bytes)
      memory.bytes.fill(0xff)
      assert.equal(memory.sum(0, bytes), modelSum(memory.bytes, 0))
      assert.equal(memory.sum(1, bytes - 1, 0xffff_ffff), 0xffff)
      memory.bytes.fill(0)
      assert.equal(memory.sum(0, bytes), 0)
      memory.bytes[bytes - 1] = 1
      assert.equal(memory.sum(0, bytes), 0x0100)
    })

    it('has the bytes asked for, and refuses others', () => {
      const memory = make(100)
      assert.equal(memory.bytes.length, 100)
      assert.equal(memory.bytes, memory.bytes)
      for (const [offset, length] of [
        [0, 101],
        [100, 1],
        [-1, 1],
        [1, -1],
        [Number.NaN, 1],
        [2 ** 32, 1],
        [0, Number.POSITIVE_INFINITY],
      ] as const) {
        assert.throws(() => memory.sum(offset, length), outside, `sum ${offset} ${length}`)
        assert.throws(() => memory.view(offset, length), outside, `view ${offset} ${length}`)
      }
      assert.equal(memory.sum(100, 0), 0)
      for (const bytes of [0, -1, 1.5, 2 ** 31 + 1]) assert.throws(() => make(bytes), outside)
    })

    it('gives the same view of the same part', () => {
      const memory = make(BYTES)
      memory.bytes[4001] = 7
      const view = memory.view(4000, 100)
      assert.deepEqual([view.length, view[1]], [100, 7])
      assert.equal(memory.view(4000, 100), view)
      assert.notEqual(memory.view(4000, 99), view)
      fc.assert(
        fc.property(fc.nat(BYTES), fc.nat(BYTES), (offset, most) => {
          const length = Math.min(most, BYTES - offset)
          const view = memory.view(offset, length)
          assert.equal(view.buffer, memory.bytes.buffer)
          assert.deepEqual([view.byteOffset, view.length], [offset, length])
        }),
      )
    })
  })
}

describe('createFrameMemory', () => {
  it('takes WebAssembly where there is one', () => {
    const memory = createFrameMemory(70_000)
    // WebAssembly memory comes in units of 64 KiB.
    assert.equal(memory.bytes.buffer.byteLength, 2 * 65_536)
    assert.equal(memory.bytes.length, 70_000)
  })

  it('goes as far as 2 GiB', () => {
    const memory = createFrameMemory(2 ** 31)
    memory.bytes.set([0x12, 0x34, 0x56], 2 ** 31 - 3)
    assert.equal(memory.sum(2 ** 31 - 3, 3), 0x6834)
    assert.equal(memory.view(2 ** 31 - 3, 3)[2], 0x56)
    assert.throws(() => memory.sum(2 ** 31 - 3, 4), outside)
  })

  it('does without WebAssembly', () => {
    const engine = globalThis as { WebAssembly?: unknown }
    const { WebAssembly } = engine
    try {
      engine.WebAssembly = undefined
      assert.equal(createSimdFrameMemory(1000), undefined)
      const memory = createFrameMemory(1000)
      assert.equal(memory.bytes.buffer.byteLength, 1000)
      memory.bytes.fill(1)
      assert.equal(memory.sum(0, 4), 0x0202)
      class NoAddressSpace {
        constructor() {
          throw new RangeError('could not allocate memory')
        }
      }
      engine.WebAssembly = { Module: Object, Memory: NoAddressSpace }
      assert.equal(createSimdFrameMemory(1000), undefined)
    } finally {
      engine.WebAssembly = WebAssembly
    }
    assert.ok(createSimdFrameMemory(1000))
  })
})
