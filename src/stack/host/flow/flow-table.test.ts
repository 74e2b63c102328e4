import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { assertCode, end } from '../../../testing/pools.test.helper.ts'
import { FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { iovSource, pageSource, pattern, payload } from '../skb/skbs.test.helper.ts'
import { FlowKey } from './flow-key.ts'
import { FlowTable } from './flow-table.ts'
import { headersOf, type Segment, writeHeaders } from './frames.test.helper.ts'

function keyOf(segment: Segment): FlowKey {
  const bytes = headersOf(segment, 0)
  return new FlowKey().read(parseFrame(bytes, 0, bytes.length, new FrameLayout()), bytes)
}

const v6 = (...groups: number[]): number[] => groups.flatMap((group) => [group >> 8, group & 0xff])

test('a key says who talks to whom', () => {
  const four = keyOf({ source: [255, 0, 2, 129], sourcePort: 65_535, destinationPort: 1 })
  assert.equal(`${four}`, '255.0.2.129:65535 > 192.0.2.2:1')
  assert.equal(four.protocol, 6)
  for (const [groups, text] of [
    [[0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], '2001:db8::1:0:0:1'],
    [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'],
    [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
    [[0, 0, 0, 0, 0, 0, 0, 1], '::1'],
    [[0xfe80, 0, 0, 0, 0, 0, 0, 0], 'fe80::'],
    [[1, 0, 0, 2, 0, 0, 0, 0xffff], '1:0:0:2::ffff'],
  ] as const) {
    assert.equal(keyOf({ version: 6, source: v6(...groups) }).source, text)
  }
  const six = keyOf({ version: 6, destination: v6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2) })
  assert.match(`${six}`, /> \[2001:db8::2\]:5201$/)
  assert.equal(six.ipVersion, 6)
})

test('a table beside a Map: any history of flows', () => {
  const segments = fc.record({
    version: fc.constantFrom<4 | 6>(4, 6),
    source: fc.tuple(...Array.from({ length: 16 }, () => fc.nat({ max: 1 }))),
    sourcePort: fc.nat({ max: 20 }),
    protocol: fc.constantFrom(6, 17),
  })
  const steps = fc.array(fc.tuple(fc.constantFrom('make', 'make', 'find', 'remove'), segments), {
    maxLength: 400,
  })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 300 }), (history, limit) => {
      const table = new FlowTable((key) => ({ key }), limit)
      const model = new Map<string, unknown>()
      let full = 0
      for (const [what, segment] of history) {
        const key = keyOf(segment)
        const name = `${key.protocol} ${key}`
        if (what === 'find') {
          assert.equal(table.find(key), model.get(name))
        } else if (what === 'remove') {
          assert.equal(table.remove(key), model.get(name))
          model.delete(name)
        } else {
          const flow = table.findOrMake(key)
          if (model.has(name)) assert.equal(flow, model.get(name))
          else if (model.size === limit) full++
          else model.set(name, flow)
          if (flow === undefined) assert.equal(model.size, limit)
          else assert.deepEqual(flow.key, key)
        }
        assert.equal(table.size, model.size)
      }
      assert.equal(table.stats().table_full, full)
      assert.deepEqual(new Set(table.flows()), new Set(model.values()))
      for (const flow of [...table.flows()]) assert.equal(table.remove(flow.key), flow)
      assert.equal(table.size, 0)
    }),
    { numRuns: 60 },
  )
})

test('thousands of flows of two hosts are each found, and taken out', () => {
  const table = new FlowTable((key) => key, 20_000)
  const keys = Array.from({ length: 20_000 }, (_, port) => keyOf({ sourcePort: port }))
  for (const key of keys) assert.deepEqual(table.findOrMake(key), key)
  assert.equal(table.findOrMake(keyOf({ sourcePort: 30_000 })), undefined)
  for (const [at, key] of keys.entries()) if (at % 3 !== 0) assert.ok(table.remove(key))
  for (const [at, key] of keys.entries()) assert.equal(table.find(key) !== undefined, at % 3 === 0)
})

test('an skb is told its flow, where its payload begins, and loses its padding', async () => {
  const pages = pageSource()
  const iovs = iovSource()
  const table = new FlowTable((key) => ({ key, skbs: 0 }))
  const bytes = pattern(1000)
  const skb = writeHeaders(pages.of(bytes, 20), { flags: 0x18, seq: 7, urgent: 3 })
  skb.payloadOffset = 0
  const flow = table.demux(skb)
  assert.equal(`${flow?.key}`, '192.0.2.1:40000 > 192.0.2.2:5201')
  assert.equal(skb.payloadOffset, 54)
  assert.equal(table.layout.seq, 7)
  assert.deepEqual(payload(skb), bytes)
  skb.free()
  // The same flow, in device memory, with two bytes of padding.
  const device = iovs.skb([{ netmem: 0, offset: 0, length: 8 }])
  device.head.set(headersOf({}, 6))
  assert.equal(table.demux(device), flow)
  assert.equal(device.payloadLength, 6)
  device.free()
  // An acknowledgement, padded in the linear bytes.
  const ack = pages.skb([], pattern(6))
  ack.head.set(headersOf({}, 0))
  assert.equal(table.demux(ack), flow)
  assert.equal(ack.payloadLength, 0)
  ack.free()
  const arp = pages.skb([], new Uint8Array(0), 60)
  arp.head.set([8, 6], 12)
  assert.equal(table.demux(arp), undefined)
  arp.headLength = 10
  assert.equal(table.demux(arp), undefined)
  arp.free()
  // A packet with a wrong checksum has no flow, but a key.
  const damaged = writeHeaders(pages.of(bytes, 20), { sourcePort: 7 })
  damaged.payloadOffset = 0
  damaged.checksumBad = true
  assert.equal(table.demux(damaged), undefined)
  assert.deepEqual([table.key.sourcePort, damaged.payloadOffset, table.size], [7, 54, 1])
  damaged.free()
  assert.deepEqual(table.stats(), {
    matched: 3,
    other_packets: 1,
    malformed: 1,
    csum_bad: 1,
    table_full: 0,
    padding_bytes: 8,
  })
  assertCode('NETMEM_OUT_OF_RANGE', () => new FlowTable(() => 0, 0))
  await end(pages.pool, iovs.pool)
})

test('no bytes in front of an skb make it lose its bounds', async () => {
  const pages = pageSource()
  const table = new FlowTable((key) => key, 1000)
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 120 }),
        fc
          .tuple(fc.nat({ max: 53 }), fc.nat({ max: 255 }), fc.nat({ max: 100 }))
          .map(([at, value, bytes]) => {
            const headers = headersOf({}, bytes)
            headers[at] = value
            return headers
          }),
      ),
      fc.nat({ max: 100 }),
      (head, data) => {
        pages.forget()
        const skb = pages.skb([{ netmem: 0, offset: 0, length: data }], new Uint8Array(0), 0)
        skb.head.set(head)
        skb.headLength = head.length
        if (table.demux(skb) !== undefined) {
          assert.ok(skb.payloadOffset <= skb.headLength)
          assert.equal(skb.payloadLength, table.layout.payloadLength)
        }
        skb.free()
      },
    ),
    { numRuns: 300 },
  )
  pages.forget()
  await end(pages.pool)
})
