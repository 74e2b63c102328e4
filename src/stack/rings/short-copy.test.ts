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

test('two memories in turn, as of two queues, get a view each and no more', (t) => {
  let made = 0
  const original = DataView
  t.after(() => {
    globalThis.DataView = original
  })
  globalThis.DataView = new Proxy(original, {
    construct(target, args, newTarget) {
      made++
      return Reflect.construct(target, args, newTarget)
    },
  })
  const shortCopy = new ShortCopy()
  const sources = [Uint8Array.of(1), Uint8Array.of(2)]
  const targets = [new Uint8Array(1), new Uint8Array(1)]
  for (let round = 0; round < 10; round++) {
    for (const [at, source] of sources.entries()) {
      const target = targets[at] ?? source
      shortCopy.copy(source, 0, 1, target, 0)
      assert.deepEqual(target, source)
    }
  }
  assert.equal(made, 4)
})
