import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DueQueue } from './due-queue.ts'
import { FrameStore } from './frame-store.ts'
import { bytesOf, numbered } from './frames.test.helper.ts'
import { emptyFrame } from './link.ts'

test('a store keeps what was put into it, whichever order it is freed in', () => {
  const STORE_BYTES = 4096
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1200), fc.nat(1000)), { maxLength: 120 }),
      fc.boolean(),
      (steps, inOrder) => {
        const store = new FrameStore(STORE_BYTES)
        const frame = emptyFrame(store.memory)
        const kept: { entry: number; number: number; length: number }[] = []
        let number = 0
        for (const [length, pick] of steps) {
          if (pick % 3 > 0) {
            const put = numbered(++number, length)
            put.checksum = number % 2 === 0 ? 'partial' : 'complete'
            put.originalLength = length + number
            const entry = store.put(put, number)
            if (entry >= 0) kept.push({ entry, number, length })
            // What is empty takes anything that fits at all.
            else assert.ok(kept.length > 0)
          } else if (kept.length > 0) {
            const [gone] = kept.splice(inOrder ? 0 : pick % kept.length, 1)
            store.free(gone?.entry ?? -1)
          }
          for (const { entry, number: of, length: bytes } of kept) {
            store.load(entry, frame)
            assert.equal(frame.timeNs, of)
            assert.equal(frame.length, bytes)
            assert.equal(frame.originalLength, bytes + of)
            assert.equal(frame.checksum, of % 2 === 0 ? 'partial' : 'complete')
            assert.ok(frame.offset + frame.length <= STORE_BYTES)
            assert.deepEqual(bytesOf(frame), bytesOf(numbered(of, bytes)))
          }
          const used = kept.reduce(
            (sum, { length: bytes }) => sum + Math.max(64, Math.ceil(bytes / 64) * 64),
            0,
          )
          assert.equal(store.usedBytes, used)
          if (inOrder) {
            assert.equal(store.oldest, kept[0]?.entry ?? -1)
            assert.equal(store.secondOldest, kept[1]?.entry ?? -1)
          }
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('frames of one size come to lie in the same places', () => {
  const store = new FrameStore(64 * 1024)
  const places = new Set<number>()
  const waiting: number[] = []
  for (let number = 0; number < 10_000; number++) {
    const entry = store.put(numbered(number, 1514), 0)
    places.add(store.offset(entry))
    waiting.push(entry)
    if (waiting.length > 20) store.free(waiting.shift() ?? -1)
  }
  assert.ok(places.size <= (64 * 1024) / 1514, `${places.size} places`)
})

test('a frame larger than the store is not taken, and one as large is', () => {
  const store = new FrameStore(4096)
  assert.equal(store.put(numbered(1, 4097), 0), -1)
  assert.ok(store.put(numbered(1, 4096), 0) >= 0)
  assert.equal(store.put(numbered(1, 1), 0), -1)
})

test('a queue by due times gives the earliest first, and equals in their order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.nat(20), { nil: undefined }), { maxLength: 200 }),
      (steps) => {
        const queue = new DueQueue(200)
        const model: { timeNs: number; entry: number }[] = []
        for (const [entry, timeNs] of steps.entries()) {
          if (timeNs === undefined) {
            assert.equal(queue.pop(), model.shift()?.entry ?? -1)
          } else {
            queue.push(timeNs, entry)
            model.push({ timeNs, entry })
            model.sort((one, other) => one.timeNs - other.timeNs || one.entry - other.entry)
          }
          assert.equal(queue.length, model.length)
          assert.equal(queue.nextNs, model[0]?.timeNs ?? Number.POSITIVE_INFINITY)
        }
      },
    ),
  )
})
