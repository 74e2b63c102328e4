import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { ShortCopy } from './short-copy.ts'

test('copies exactly what it is told, from anywhere to anywhere, as `set` does', () => {
  const shortCopy = new ShortCopy()
  // The same memory again and again, and memory that is part of another.
  const source = Uint8Array.from({ length: 300 }, (_, at) => at * 7 + 1)
  const memory = new Uint8Array(new SharedArrayBuffer(400))
  fc.assert(
    fc.property(
      fc.nat({ max: 100 }),
      fc.nat({ max: 160 }),
      fc.nat({ max: 100 }),
      fc.constantFrom(0, 1, 7, 40),
      (from, bytes, to, skip) => {
        const target = memory.subarray(skip)
        target.fill(0xee)
        const expected = target.slice()
        expected.set(source.subarray(from, from + bytes), to)
        shortCopy.copy(source, from, bytes, target, to)
        assert.deepEqual(target.slice(), expected)
      },
    ),
  )
  shortCopy.forget()
})
