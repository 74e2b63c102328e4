import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../testing/pools.test.helper.ts'
import type { FaultOptions } from './fate.ts'
import { faultyLink } from './faults.ts'
import { bytesOf, numbered, numberOf, numbersBy } from './frames.test.helper.ts'
import { createGenerator } from './generator.ts'
import type { Link } from './link.ts'
import { createLinkPair } from './link-pair.ts'
import { tracedLink } from './traced-link.ts'

const EVERYTHING = {
  loss: 0.1,
  duplication: 0.1,
  reordering: 0.1,
  corruption: 0.1,
  delayNs: 5000,
  jitterNs: 3000,
  rateBitsPerS: 1e9,
}

/** A link with `count` frames on it, one each microsecond. The other end is closed. */
function filled(count: number, length = 64): Link {
  const [left, right] = createLinkPair({ queueBytes: 2 ** 22 })
  for (let number = 1; number <= count; number++) {
    left.transmit(numbered(number, length), number * 1000)
  }
  left.close()
  return right
}

/** Returns all frames of a link that is asked at the times given. */
function drain(link: Link, stepNs: (nowNs: number) => number): { at: number; bytes: string }[] {
  const frames: { at: number; bytes: string }[] = []
  for (let nowNs = 0; !link.ended; nowNs = stepNs(nowNs)) {
    for (let frame = link.receive(nowNs); frame; frame = link.receive(nowNs)) {
      assert.ok(frame.timeNs <= nowNs)
      frames.push({ at: frame.timeNs, bytes: Buffer.from(bytesOf(frame)).toString('hex') })
    }
    assert.ok(link.nextAtNs() > nowNs || link.ended)
  }
  return frames
}

test('`using` closes a link, and one within another', () => {
  const [left, right] = createLinkPair()
  {
    using link = tracedLink(faultyLink(left, { seed: 1 }), () => {})
    assert.equal(link.ended, false)
  }
  assert.equal(right.ended, true)
})

test('without faults it is as if it were not there', () => {
  const link = faultyLink(filled(100), { seed: 1 })
  assert.equal(link.nextAtNs(), 1000)
  assert.deepEqual(
    numbersBy(link, 50_000),
    Array.from({ length: 50 }, (_, at) => at + 1),
  )
  assert.equal(numbersBy(link, 1e6).length, 50)
  assert.ok(link.ended)
  assert.equal(link.counts.delivered, 100)
})

test('the same seed is the same run, over thousands of frames and however often one looks', () => {
  const run = (seed: number, stepNs: (nowNs: number) => number) => {
    const link = faultyLink(filled(5000), { ...EVERYTHING, seed })
    const frames = drain(link, stepNs)
    return { frames, counts: link.counts }
  }
  const once = run(42, (nowNs) => nowNs + 1000)
  assert.deepEqual(
    run(42, (nowNs) => nowNs + 1000),
    once,
  )
  // Seldom, and at odd times.
  assert.deepEqual(
    run(42, (nowNs) => nowNs + 777_777),
    once,
  )
  assert.notDeepEqual(run(43, (nowNs) => nowNs + 1000).frames, once.frames)
  const { received, lost, duplicated, delivered, reordered, corrupted, overflowed } = once.counts
  assert.equal(received, 5000)
  assert.equal(delivered, received - lost + duplicated)
  assert.equal(overflowed, 0)
  for (const count of [lost, duplicated, reordered, corrupted]) {
    assert.ok(count > 350 && count < 650, `about a tenth, not ${count}`)
  }
})

test('one knob does not move what another does', () => {
  const lost = (options: Partial<FaultOptions>) => {
    const link = faultyLink(filled(1000), { seed: 5, loss: 0.2, ...options })
    return new Set(drain(link, (nowNs) => nowNs + 1e6).map(({ bytes }) => bytes))
  }
  assert.deepEqual(lost({ duplication: 0.3, reordering: 0.3, jitterNs: 10_000 }), lost({}))
})

test('frames arrive in the order of their times', () => {
  const link = faultyLink(filled(3000), { ...EVERYTHING, seed: 8 })
  let last = 0
  for (const { at } of drain(link, (nowNs) => nowNs + 5000)) {
    assert.ok(at >= last)
    last = at
  }
})

test('loss', () => {
  const link = faultyLink(filled(50), { seed: 1, loss: 1 })
  assert.deepEqual(numbersBy(link, 1e9), [])
  assert.equal(link.counts.lost, 50)
  assert.ok(link.ended)
})

test('duplication', () => {
  const link = faultyLink(filled(3), { seed: 1, duplication: 1 })
  assert.deepEqual(numbersBy(link, 1e9), [1, 1, 2, 2, 3, 3])
  assert.equal(link.counts.duplicated, 3)
})

test('reordering: up to three overtake a frame, none is lost', () => {
  const link = faultyLink(filled(2000), { seed: 3, reordering: 0.1 })
  const numbers = numbersBy(link, 1e9)
  assert.equal(new Set(numbers).size, 2000)
  let overtaken = 0
  for (const [at, number] of numbers.entries()) {
    // Other frames may be set aside at the same time.
    assert.ok(Math.abs(number - 1 - at) < 20, `${number} at ${at}`)
    if (number - 1 < at) overtaken++
  }
  assert.ok(overtaken > 100, `${overtaken}`)
})

test('reordering: a frame that nothing follows comes after its wait, or with the end', () => {
  const [left, right] = createLinkPair()
  const link = faultyLink(right, { seed: 1, reordering: 1, reorderingNs: 5000 })
  left.transmit(numbered(1), 0)
  assert.equal(link.receive(0), undefined)
  assert.equal(link.nextAtNs(), 5000)
  assert.equal(link.receive(4999), undefined)
  const late = link.receive(5000)
  assert.ok(late !== undefined)
  assert.equal(numberOf(late), 1)
  assert.equal(late.timeNs, 5000)
  left.transmit(numbered(2), 6000)
  assert.equal(link.receive(6000), undefined)
  assert.ok(!link.ended)
  left.close()
  assert.ok(link.nextAtNs() <= 6000)
  assert.deepEqual(numbersBy(link, 6000), [2])
  assert.ok(link.ended)
})

test('corruption: one bit of a copy; the frame itself is as it was', () => {
  const generator = createGenerator({ framesPerFlow: 4, checksum: 'partial' })
  const untouched = createGenerator({ framesPerFlow: 4, checksum: 'partial' })
  const link = faultyLink(generator, { seed: 1, corruption: 1 })
  const places = new Set<number>()
  for (let taken = 0; taken < 1000; taken++) {
    const frame = link.receive(taken)
    const original = untouched.receive(taken)
    assert.ok(frame !== undefined && original !== undefined)
    const wrong = bytesOf(frame)
    const right = bytesOf(original)
    let bits = 0
    for (const [at, byte] of wrong.entries()) {
      let difference = byte ^ (right[at] ?? 0)
      if (difference !== 0) places.add(at)
      for (; difference !== 0; difference &= difference - 1) bits++
    }
    assert.equal(bits, 1)
  }
  assert.ok(places.size > 400)
  assert.equal(link.counts.corrupted, 1000)
})

test('delay and rate', () => {
  // 64 bytes at 256 Mbit/s take two microseconds, and one comes each microsecond.
  const link = faultyLink(filled(4), { seed: 1, delayNs: 10_000, rateBitsPerS: 256e6 })
  const frames = drain(link, (nowNs) => nowNs + 100)
  assert.deepEqual(
    frames.map(({ at }) => at),
    [13_000, 15_000, 17_000, 19_000],
  )
})

test('an endless link is not taken in: half of the memory may be used, and no more', () => {
  const endless = createGenerator({ mssBytes: 8948 })
  const link = faultyLink(endless, { seed: 1, delayNs: 1000, holdBytes: 2 ** 20 })
  assert.equal(link.receive(0), undefined)
  assert.ok(link.counts.received < 70)
  assert.equal(link.nextAtNs(), 1000)
  let delivered = 0
  for (let nowNs = 0; nowNs < 100_000; nowNs += 1000) {
    for (let most = 200; most > 0 && link.receive(nowNs); most--) delivered++
  }
  assert.ok(delivered > 5000, `${delivered}`)
  assert.equal(link.counts.overflowed, 0)
})

test('frames too large to be held are lost and counted', () => {
  const [left, right] = createLinkPair({ queueBytes: 2 ** 23 })
  const link = faultyLink(right, { seed: 1, delayNs: 1, holdBytes: 2 ** 20 })
  left.transmit(numbered(1, 2 ** 20 + 1), 0)
  left.transmit(numbered(2, 100), 0)
  assert.equal(link.receive(0), undefined)
  assert.deepEqual(numbersBy(link, 10), [2])
  assert.equal(link.counts.overflowed, 1)
})

test('each frame is accounted for, with any faults and times', () => {
  const part = fc.constantFrom(0, 0.05, 0.5, 1)
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(),
        loss: fc.constantFrom(0, 0.1),
        duplication: part,
        reordering: part,
        corruption: part,
        delayNs: fc.nat(20_000),
        jitterNs: fc.nat(20_000),
        reorderingNs: fc.nat(20_000),
      }),
      fc.integer({ min: 1, max: 100_000 }),
      (options, stepNs) => {
        const link = faultyLink(filled(200, 700), options)
        const frames = drain(link, (nowNs) => nowNs + stepNs)
        const { received, lost, duplicated, delivered, overflowed } = link.counts
        assert.equal(received, 200)
        assert.equal(overflowed, 0)
        assert.equal(delivered, received - lost + duplicated)
        assert.equal(frames.length, delivered)
      },
    ),
    { numRuns: 60 },
  )
})

test('what is transmitted passes; a close closes the link', () => {
  const [left, right] = createLinkPair()
  const link = faultyLink(right, { seed: 1, loss: 1 })
  link.transmit(numbered(1), 0)
  assert.deepEqual(numbersBy(left, 0), [1])
  link.close()
  assert.ok(link.ended && right.ended && left.ended)
  assert.equal(link.receive(0), undefined)
  assert.equal(link.nextAtNs(), Number.POSITIVE_INFINITY)
})

test('wrong options', () => {
  const [, right] = createLinkPair()
  assertCode('NETMEM_OUT_OF_RANGE', () => faultyLink(right, { seed: -1 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => faultyLink(right, { seed: 1, loss: 1.1 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => faultyLink(right, { seed: 1, loss: Number.NaN }))
  const text: object = { loss: '0.1' }
  assertCode('NETMEM_INVALID_ARGUMENT', () => faultyLink(right, { seed: 1, ...text }))
})
