import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { type Due, DueQueue } from './due-queue.ts'
import { FrameStore } from './frame-store.ts'
import { bytesOf, frameOf, numbered, numberOf } from './frames.test.helper.ts'
import type { LinkFrame } from './link.ts'

/** Stores a frame that is due at `dueNs`. */
function put(store: FrameStore, frame: LinkFrame, dueNs: number): boolean {
  return store.put(frame, dueNs)
}

test('a store hands frames out when they are due, and keeps them until then', () => {
  const STORE_BYTES = 4096
  const step = fc.tuple(fc.nat(1200), fc.nat(20), fc.nat(2))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const store = new FrameStore(STORE_BYTES)
      const kept: { readonly number: number; readonly length: number; readonly dueNs: number }[] =
        []
      let taken: (typeof kept)[number] | undefined
      for (const [number, [length, timeNs, what]] of steps.entries()) {
        if (what > 0) {
          const frame = numbered(number, length)
          frame.checksum = number % 2 === 0 ? 'partial' : 'complete'
          frame.originalLength = length + number
          frame.segmentBytes = number % 3
          if (put(store, frame, timeNs)) {
            kept.push({ number, length, dueNs: timeNs })
            kept.sort((one, other) => one.dueNs - other.dueNs || one.number - other.number)
          } else assert.ok(kept.length > 0 || taken !== undefined, 'an empty store has room')
        } else {
          const first = kept[0]
          assert.equal(store.nextNs, first?.dueNs ?? Number.POSITIVE_INFINITY)
          const frame = store.take(timeNs)
          taken = first !== undefined && first.dueNs <= timeNs ? kept.shift() : undefined
          assert.equal(frame === undefined, taken === undefined)
          if (frame === undefined || taken === undefined) continue
          const { number: of } = taken
          assert.deepEqual(bytesOf(frame), bytesOf(numbered(of, taken.length)))
          assert.deepEqual([frame.timeNs, frame.originalLength], [taken.dueNs, taken.length + of])
          assert.equal(frame.checksum, of % 2 === 0 ? 'partial' : 'complete')
          assert.equal(frame.segmentBytes, of % 3)
        }
        const held = taken === undefined ? kept : [...kept, taken]
        const used = held.reduce((sum, { length: bytes }) => sum + roundUp(bytes), 0)
        assert.equal(store.usedBytes, used)
      }
    }),
    { numRuns: 150 },
  )
})

function roundUp(bytes: number): number {
  return Math.max(64, Math.ceil(bytes / 64) * 64)
}

test('frames of one size come to lie in the same places', () => {
  const store = new FrameStore(64 * 1024)
  const places = new Set<number>()
  for (let number = 0; number < 10_000; number++) {
    put(store, numbered(number, 1514), number)
    if (number >= 20) places.add(store.take(number)?.offset ?? -1)
  }
  assert.ok(places.size <= (64 * 1024) / 1514, `${places.size} places`)
})

test('a frame larger than the store is not taken, and one as large is', () => {
  const store = new FrameStore(4096)
  assert.equal(put(store, numbered(1, 4097), 0), false)
  assert.equal(put(store, numbered(1, 4096), 0), true)
  assert.equal(put(store, numbered(1, 1), 0), false)
})

test('a held frame waits until it is made due', () => {
  const store = new FrameStore(4096)
  const held = store.hold(frameOf(Uint8Array.of(0, 2, 0))) ?? assert.fail()
  assert.equal(store.take(1e9), undefined)
  assert.ok(put(store, numbered(1), 5))
  store.setDue(held, 4)
  assert.deepEqual(bytesOf(store.take(5) ?? assert.fail()), Uint8Array.of(0, 2, 0))
  assert.equal(numberOf(store.take(5) ?? assert.fail()), 1)
  store.freeTaken()
  assert.equal(store.usedBytes, 0)
})

test('a queue by due times gives the earliest first, and equals in their order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.nat(20), { nil: undefined }), { maxLength: 200 }),
      (steps) => {
        const queue = new DueQueue<Due & { readonly number: number }>()
        const model: { timeNs: number; number: number }[] = []
        for (const [number, timeNs] of steps.entries()) {
          if (timeNs === undefined) {
            assert.equal(queue.pop()?.number, model.shift()?.number)
          } else {
            queue.push({ timeNs, number, order: 0 })
            model.push({ timeNs, number })
            model.sort((one, other) => one.timeNs - other.timeNs || one.number - other.number)
          }
          assert.equal(queue.nextNs, model[0]?.timeNs ?? Number.POSITIVE_INFINITY)
        }
      },
    ),
  )
})
