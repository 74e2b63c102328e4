import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../testing/pools.test.helper.ts'
import { FrameLayout } from '../../wire/frame-layout.ts'
import { bytesOf, numbered, numberOf, numbersBy } from './frames.test.helper.ts'
import { FramePieces } from './link.ts'
import { createLinkPair } from './link-pair.ts'

const NEVER = Number.POSITIVE_INFINITY

test('what is sent at one end arrives at the other, both ways', () => {
  const [left, right] = createLinkPair()
  left.transmit(numbered(1), 0)
  left.transmit(numbered(2), 0)
  right.transmit(numbered(3), 0)
  assert.deepEqual(numbersBy(right, 0), [1, 2])
  assert.deepEqual(numbersBy(left, 0), [3])
  assert.equal(left.receive(1e9), undefined)
  assert.equal(left.tx_packets, 2)
  assert.equal(right.rx_packets, 2)
})

test('a frame arrives after the delay and the time its bits take, behind those before it', () => {
  // 64 bytes at 512 Mbit/s take a microsecond.
  const [left, right] = createLinkPair({ delayNs: 500, rateBitsPerS: 512e6 })
  left.transmit(numbered(1), 0)
  left.transmit(numbered(2), 0)
  left.transmit(numbered(3), 10_000)
  assert.equal(right.nextAtNs(), 1500)
  assert.equal(right.receive(1499), undefined)
  assert.equal(right.receive(1500)?.timeNs, 1500)
  assert.equal(right.nextAtNs(), 2500)
  assert.equal(right.receive(2000), undefined)
  assert.deepEqual(numbersBy(right, 2500), [2])
  assert.equal(right.nextAtNs(), 11_500)
  assert.deepEqual(numbersBy(right, 20_000), [3])
  assert.equal(right.nextAtNs(), NEVER)
  assert.ok(!right.ended)
})

test('the sender may use its frame again; what the receiver got stays until it asks for more', () => {
  const [left, right] = createLinkPair({ queueBytes: 4096 })
  const frame = numbered(7, 1000)
  frame.checksum = 'partial'
  frame.originalLength = 1200
  left.transmit(frame, 0)
  frame.memory.bytes.fill(0, frame.offset, frame.offset + 1000)
  const got = right.receive(0)
  assert.ok(got !== undefined)
  // The queue is filled up around the frame in hand.
  for (let number = 10; number < 20; number++) left.transmit(numbered(number, 1000), 0)
  assert.deepEqual(bytesOf(got), bytesOf(numbered(7, 1000)))
  assert.equal(got.checksum, 'partial')
  assert.equal(got.originalLength, 1200)
  assert.equal(left.tx_dropped, 7)
  assert.deepEqual(numbersBy(right, 0), [10, 11, 12])
})

test('a full queue drops and counts, and what is too large for it', () => {
  const [left, right] = createLinkPair({ queueBytes: 4096, delayNs: 10, rateBitsPerS: 8e9 })
  left.transmit(numbered(0, 5000), 0)
  for (let number = 1; number <= 100; number++) left.transmit(numbered(number, 64), 0)
  assert.equal(left.tx_packets, 64)
  assert.equal(left.tx_dropped, 37)
  const numbers = numbersBy(right, 1e9)
  assert.deepEqual(
    numbers,
    Array.from({ length: 64 }, (_, at) => at + 1),
  )
  // The dropped frames took no time.
  left.transmit(numbered(200, 64), 0)
  assert.equal(right.nextAtNs(), 65 * 64 + 10)
})

test('against a plain queue', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 4, max: 900 }), fc.nat(3000))),
      fc.integer({ min: 0, max: 5000 }),
      (steps, delayNs) => {
        const [left, right] = createLinkPair({ delayNs, rateBitsPerS: 1e9, queueBytes: 1 << 20 })
        const model: { number: number; atNs: number; length: number }[] = []
        let nowNs = 0
        let busyNs = 0
        let number = 0
        for (const [send, length, waitNs] of steps) {
          nowNs += waitNs
          if (send) {
            busyNs = Math.max(busyNs, nowNs) + length * 8
            model.push({ number: ++number, atNs: busyNs + delayNs, length })
            left.transmit(numbered(number, length), nowNs)
          } else {
            const frame = right.receive(nowNs)
            const first = model[0]
            const due = first !== undefined && first.atNs <= nowNs ? model.shift() : undefined
            assert.equal(frame === undefined ? undefined : numberOf(frame), due?.number)
            assert.equal(frame?.timeNs, due?.atNs)
            assert.equal(frame?.length, due?.length)
          }
          assert.equal(right.nextAtNs(), model[0]?.atNs ?? NEVER)
        }
      },
    ),
  )
})

test('a close ends both ends; what was on its way still arrives at the other', () => {
  const [left, right] = createLinkPair({ delayNs: 100 })
  left.transmit(numbered(1), 0)
  right.transmit(numbered(2), 0)
  left.close()
  assert.ok(left.ended)
  assert.equal(left.receive(1000), undefined)
  assert.equal(left.nextAtNs(), NEVER)
  assert.ok(!right.ended)
  right.transmit(numbered(3), 0)
  left.transmit(numbered(4), 0)
  assert.equal(left.tx_dropped + right.tx_dropped, 2)
  assert.deepEqual(numbersBy(right, 100), [1])
  assert.ok(right.ended)
  right.close()
  left.close()
  assert.ok(right.ended)
})

test('wrong options', () => {
  assertCode('NETMEM_OUT_OF_RANGE', () => createLinkPair({ delayNs: -1 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => createLinkPair({ rateBitsPerS: 0 }))
  assertCode('NETMEM_OUT_OF_RANGE', () => createLinkPair({ rateBitsPerS: Number.NaN }))
  assertCode('NETMEM_OUT_OF_RANGE', () => createLinkPair({ queueBytes: 100 }))
  const text: object = { rateBitsPerS: '1e9' }
  assertCode('NETMEM_INVALID_ARGUMENT', () => createLinkPair(text))
})

test('a frame in pieces arrives whole, with its segment size, and takes the time of its segments', () => {
  const [left, right] = createLinkPair({ rateBitsPerS: 8e9 })
  const layout = new FrameLayout()
  layout.headerLength = 60
  layout.payloadLength = 900
  const head = { ...numbered(7, 60), originalLength: 960, segmentBytes: 300, layout }
  head.checksum = 'partial'
  const pieces = new FramePieces()
  const memory = Uint8Array.from({ length: 1000 }, (_, at) => at)
  pieces.add(memory, 100, 500)
  pieces.add(memory, 17, 400)
  left.transmitPieces(head, pieces, 0)
  // 900 bytes of payload and three sets of headers.
  assert.equal(right.nextAtNs(), 1080)
  const frame = right.receive(1080) ?? assert.fail()
  assert.deepEqual(
    [frame.length, frame.originalLength, frame.segmentBytes, frame.checksum],
    [960, 960, 300, 'partial'],
  )
  const expected = [...memory.subarray(100, 600), ...memory.subarray(17, 417)]
  assert.deepEqual([...bytesOf(frame).subarray(60)], expected)
  const [small] = createLinkPair({ queueBytes: 4096 })
  for (let at = 0; at < 6; at++) small.transmitPieces(head, pieces, 0)
  assert.deepEqual([small.tx_packets, small.tx_dropped], [4, 2])
  pieces.forget()
  assert.deepEqual([pieces.count, pieces.memories], [0, []])
})
