import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertCode } from '../../testing/pools.test.helper.ts'
import { VirtualClock } from './clock.ts'
import { faultyLink } from './faults.ts'
import { numbered, numberOf } from './frames.test.helper.ts'
import { createGenerator } from './generator.ts'
import type { Link, LinkFrame } from './link.ts'
import { createLinkPair } from './link-pair.ts'

test('time moves forward and never back', () => {
  const clock = new VirtualClock()
  assert.equal(clock.nowNs, 0)
  clock.advanceTo(100)
  clock.advanceTo(50)
  clock.advanceBy(5)
  assert.equal(clock.nowNs, 105)
  assertCode('NETMEM_OUT_OF_RANGE', () => clock.advanceTo(Number.POSITIVE_INFINITY))
  assertCode('NETMEM_OUT_OF_RANGE', () => clock.advanceTo(Number.NaN))
  assertCode('NETMEM_OUT_OF_RANGE', () => clock.advanceBy(-1))
})

test('it moves to the next frame of any link, and takes turns where several are due', () => {
  const [a, aEnd] = createLinkPair({ delayNs: 30 })
  const [b, bEnd] = createLinkPair({ delayNs: 10 })
  for (let number = 0; number < 3; number++) a.transmit(numbered(number), 0)
  for (let number = 10; number < 13; number++) b.transmit(numbered(number), 20)
  b.transmit(numbered(20), 0)
  const clock = new VirtualClock()
  const seen: [number, number, Link][] = []
  const onFrame = (frame: LinkFrame, link: Link) => seen.push([clock.nowNs, numberOf(frame), link])
  const links = [aEnd, bEnd]
  while (clock.next(links, onFrame));
  assert.deepEqual(
    seen.map(([nowNs, number]) => [nowNs, number]),
    // A link keeps its order: 20 was sent last.
    [
      [30, 0],
      [30, 10],
      [30, 1],
      [30, 11],
      [30, 2],
      [30, 12],
      [30, 20],
    ],
  )
  assert.ok(seen.every(([, number, link]) => link === (number < 10 ? aEnd : bEnd)))
  assert.equal(clock.nowNs, 30)
})

test('it stops at a limit', () => {
  const [a, aEnd] = createLinkPair({ delayNs: 100 })
  a.transmit(numbered(1), 0)
  const clock = new VirtualClock()
  const fail = () => assert.fail('too early')
  assert.ok(!clock.next([aEnd], fail, 99))
  assert.equal(clock.nowNs, 99)
  assert.ok(!clock.next([], fail))
  assert.equal(clock.nowNs, 99)
  assert.ok(clock.next([aEnd], () => {}, 100))
})

test('the same seed is the same run: flows over a faulty link, answered over another', () => {
  const run = (seed: number) => {
    const generator = createGenerator({ flows: 3, totalBytes: 3e6, rateBitsPerS: 1e9, seed })
    const [near, far] = createLinkPair({ delayNs: 20_000, rateBitsPerS: 9e8, queueBytes: 65_536 })
    const forth = faultyLink(far, { seed, loss: 0.02, duplication: 0.01, jitterNs: 40_000 })
    const back = faultyLink(near, { seed: seed + 1, reordering: 0.1, corruption: 0.1 })
    const clock = new VirtualClock()
    const history: string[] = []
    let sum = 0
    const onFrame = (frame: LinkFrame, link: Link) => {
      if (link === generator) near.transmit(frame, clock.nowNs)
      if (link === forth) far.transmit(frame, clock.nowNs)
      sum = frame.memory.sum(frame.offset, frame.length, sum)
      history.push(`${clock.nowNs} ${frame.timeNs} ${frame.length} ${sum}`)
    }
    const links = [generator, forth, back]
    while (clock.next(links, onFrame));
    assert.ok(generator.ended)
    return { history, forth: forth.counts, back: back.counts, dropped: near.tx_dropped }
  }
  const once = run(1)
  assert.ok(once.history.length > 15_000, `${once.history.length} frames`)
  assert.ok(once.dropped > 0 && once.forth.lost > 0 && once.back.reordered > 0)
  assert.deepEqual(run(1), once)
  assert.notDeepEqual(run(2).history, once.history)
})
