import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { frameOf } from '../host/device/device.test.helper.ts'
import { InjectedLink } from './injected-link.ts'

const noFrames = (): void => assert.fail('nothing was transmitted')

/** The next frame's bytes and time, if one has arrived. */
function take(link: InjectedLink, nowNs: number): [string, number] | undefined {
  const frame = link.receive(nowNs)
  if (frame === undefined) return undefined
  assert.equal(frame.originalLength, frame.length)
  const bytes = frame.memory.bytes.subarray(frame.offset, frame.offset + frame.length)
  return [Buffer.from(bytes).toString('hex'), frame.timeNs]
}

test('frames arrive in order, at their times, and with their checksums as they were told', () => {
  const link = new InjectedLink(4096, noFrames)
  assert.equal(link.nextAtNs(), Number.POSITIVE_INFINITY)
  assert.ok(link.inject(frameOf(60, 1), 100, 'complete'))
  assert.ok(link.inject(frameOf(61, 2), 200, 'partial'))
  // A link does not reorder: this frame is not earlier than the one before it.
  assert.ok(link.inject(frameOf(62, 3), 150, 'complete'))
  assert.equal(link.nextAtNs(), 100)
  assert.equal(link.receive(99), undefined)
  assert.equal(link.receive(100)?.checksum, 'complete')
  assert.equal(link.nextAtNs(), 200)
  assert.equal(link.receive(199), undefined)
  const second = link.receive(1000)
  assert.deepEqual([second?.checksum, second?.timeNs, second?.length], ['partial', 200, 61])
  assert.equal(link.receive(1000)?.timeNs, 200)
  assert.equal(link.receive(1000), undefined)
  assert.equal(link.nextAtNs(), Number.POSITIVE_INFINITY)
})

test('behaves as a plain queue with any frames, and never writes over one that can still be read', () => {
  const step = fc.oneof(
    fc.record({ length: fc.nat(700), afterNs: fc.nat(5) }),
    fc.record({ receiveAfterNs: fc.nat(5) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const link = new InjectedLink(4096, noFrames)
      const expected: [string, number][] = []
      let nowNs = 0
      let lastNs = 0
      let out: { bytes: Uint8Array; was: Uint8Array } | undefined
      for (const [at, action] of steps.entries()) {
        if ('length' in action) {
          const frame = frameOf(action.length, at)
          const arrivesNs = Math.max(lastNs, nowNs + action.afterNs)
          if (link.inject(frame, nowNs + action.afterNs, 'complete')) {
            lastNs = arrivesNs
            expected.push([Buffer.from(frame).toString('hex'), arrivesNs])
          } else {
            assert.ok(expected.length > 0 || out !== undefined, 'an empty link has room')
          }
          if (out !== undefined) assert.deepEqual(out.bytes, out.was)
          continue
        }
        nowNs += action.receiveAfterNs
        assert.equal(link.nextAtNs(), expected[0]?.[1] ?? Number.POSITIVE_INFINITY)
        const due = expected[0] !== undefined && expected[0][1] <= nowNs
        const frame = link.receive(nowNs)
        assert.equal(frame !== undefined, due)
        out = undefined
        if (frame === undefined) continue
        const bytes = frame.memory.bytes.subarray(frame.offset, frame.offset + frame.length)
        out = { bytes, was: bytes.slice() }
        assert.deepEqual([Buffer.from(bytes).toString('hex'), frame.timeNs], expected.shift())
      }
    }),
  )
})

test('all of its room is used, and no more', () => {
  const link = new InjectedLink(4096, noFrames)
  assert.equal(link.inject(frameOf(4097, 0), 0, 'complete'), false)
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 64; at++) assert.ok(link.inject(frameOf(64, at), 0, 'complete'))
    assert.equal(link.inject(frameOf(1, 0), 0, 'complete'), false)
    for (let at = 0; at < 64; at++) {
      assert.deepEqual(take(link, 0), [Buffer.from(frameOf(64, at)).toString('hex'), 0])
    }
    // The last one's room is free when the link is asked again.
    assert.equal(take(link, 0), undefined)
  }
  assert.ok(link.inject(frameOf(4096, 0), 0, 'complete'))
})

test('a closed link takes nothing, and lets arrive what is on its way', () => {
  const sent: number[] = []
  const link = new InjectedLink(4096, ({ length }) => sent.push(length))
  link.inject(frameOf(60, 1), 5, 'complete')
  const frame = { ...(link.receive(5) ?? assert.fail()) }
  link.transmit(frame)
  link.inject(frameOf(60, 2), 5, 'complete')
  link.close()
  link.transmit(frame)
  assert.deepEqual(sent, [60])
  assert.equal(link.inject(frameOf(60, 3), 5, 'complete'), false)
  assert.equal(link.ended, false)
  assert.equal(take(link, 5)?.[1], 5)
  assert.equal(link.ended, true)
  assert.equal(take(link, 5), undefined)
})
