// For one commit: the parser made of codecs says of any frame what the one it replaces said.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'

import { Random } from '../random.ts'
import { buildTcpFrame, buildUdpFrame } from './build-frame.test.helper.ts'
import { FrameLayout, parseCutFrame, parseFrame } from './frame-layout.ts'
import { makeFrameMemory } from './frame-memory.ts'
import { tcpFrames, udpFrames } from './frames.test.helper.ts'
import * as old from './old-frame-layout.test.helper.ts'

const memory = makeFrameMemory(4096)
const now = new FrameLayout()
const before = new old.OldFrameLayout()
const seen = new Map<number, number>()

function same(length: number, wireLength: number): void {
  const { bytes } = memory
  assert.deepEqual(
    { ...parseFrame(bytes, 1, length, now, wireLength) },
    { ...old.parseFrame(bytes, 1, length, before, wireLength) },
  )
  seen.set(now.kind, (seen.get(now.kind) ?? 0) + 1)
  assert.deepEqual(
    { ...parseCutFrame(bytes, 1, length, now) },
    { ...old.parseCutFrame(bytes, 1, length, before) },
  )
}

test('frames as they are, mutated, cut and padded', () => {
  const frames = fc.oneof(
    tcpFrames.map((frame) => () => buildTcpFrame(frame, memory, 1)),
    udpFrames.map((frame) => () => buildUdpFrame(frame, memory, 1)),
  )
  fc.assert(
    fc.property(frames, fc.nat(), (build, seed) => {
      const random = new Random(seed)
      for (let round = 0; round < 100; round++) {
        const length = build()
        for (let change = random.below(4); change > 0; change--) {
          // Mostly in the headers, and likely values.
          const at = 1 + 12 + random.below(random.below(3) === 0 ? length : 60)
          const values = [0, 1, 4, 5, 6, 8, 0x11, 0x2c, 0x2b, 0x3c, 0x40, 0x45, 0x60, 0x81, 0xff]
          memory.bytes[at] =
            random.below(2) === 0 ? random.below(256) : (values[random.below(values.length)] ?? 0)
        }
        const kept = random.below(2) === 0 ? length : random.below(length + 20)
        same(kept, random.below(2) === 0 ? kept : kept + random.below(100))
      }
    }),
    { numRuns: 3000 },
  )
  for (let kind = 0; kind <= 5; kind++) assert.ok((seen.get(kind) ?? 0) > 1000, `${kind}`)
})

test('random bytes behind likely beginnings', () => {
  const random = new Random(5)
  for (let round = 0; round < 200_000; round++) {
    const length = random.below(130)
    for (let at = 1; at <= length; at++) memory.bytes[at] = random.below(4) * random.below(64)
    const [type, version] = random.below(2) === 0 ? [0x0800, 0x45] : [0x86dd, 0x60]
    memory.bytes.set([type >> 8, type & 0xff, version], 13)
    if (random.below(3) > 0) memory.bytes.set([0, 0], version === 0x45 ? 17 : 19)
    same(length, random.below(2) === 0 ? length : length + random.below(200))
  }
})
