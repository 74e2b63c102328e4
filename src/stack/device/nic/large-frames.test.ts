// Large frames as they come from a link: delivered whole, or as the segments that they stand for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillPartialChecksum } from '../../../wire/frame-checksums.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import { ACK, PSH } from '../../../wire/tcp.ts'
import { createLinkPair } from '../../link/link-pair.ts'
import { RX_CHECKSUM_OK } from '../../rings/rx-front-end.ts'
import { DmaSpace } from '../dma/dma-space.ts'
import { checksumsAreRight, frame, layoutOf, pattern } from './frames.test.helper.ts'
import { NetworkCard } from './network-card.ts'
import {
  join,
  oneQueue,
  receiveAll,
  SPLIT,
  TestDriver,
  type TestFrame,
  wholeOf,
} from './nic.test.helper.ts'

function large(bytes: number, ipVersion: 4 | 6 = 4, segmentBytes = 1000): TestFrame {
  const memory = createFrameMemory(2 ** 17)
  const made = frame({ ipVersion, payload: pattern(bytes), flags: ACK | PSH, ack: 9 })
  memory.bytes.set(made)
  fillPartialChecksum(memory, 0, layoutOf(made))
  return { bytes: memory.bytes.slice(0, made.length), checksum: 'partial', segmentBytes }
}

test('a queue that does not coalesce gets every segment, with right checksums', () => {
  for (const ipVersion of [4, 6] as const) {
    const { nic, link, driver } = oneQueue()
    driver.post(...new Array<number>(8).fill(2000))
    link.put(large(4500, ipVersion), frame({ payload: pattern(10) }))
    assert.equal(nic.receive(0, 1), 5, 'the segments of one frame are not left for later')
    const packets = driver.read()
    assert.deepEqual(
      packets.map(({ pieces }) => pieces[0]?.length),
      [1000, 1000, 1000, 1000, 500],
    )
    for (const [at, packet] of packets.entries()) {
      const whole = wholeOf(packet)
      const layout = layoutOf(whole)
      assert.deepEqual([layout.seq, layout.ack], [at * 1000, 9])
      assert.equal((layout.tcpFlags & PSH) !== 0, at === 4)
      assert.ok(checksumsAreRight(whole, 0, layout))
      assert.ok((packet.flags & RX_CHECKSUM_OK) !== 0)
      assert.deepEqual([packet.segments, packet.segmentBytes], [1, 0])
    }
    assert.deepEqual(join(...packets.flatMap(({ pieces }) => pieces)), pattern(4500))
    const { rx_packets, rx_bytes, rx_hw_gro_packets } = nic.counters.stats().device
    const headers = packets[0]?.header.length ?? 0
    assert.deepEqual([rx_packets, rx_bytes, rx_hw_gro_packets], [5, 4500 + 5 * headers, 0])
    assert.equal(receiveAll(nic, link, driver).length, 1)
  }
})

test('a queue that coalesces gets it whole, or in as few packets as its buffers have room for', () => {
  for (const ipVersion of [4, 6] as const) {
    const { nic, link, driver } = oneQueue({ coalesce: true }, {}, { needy: true })
    driver.post(...new Array<number>(40).fill(1000))
    link.put(large(7500, ipVersion), large(20_000, ipVersion))
    assert.equal(nic.receive(0, 9), 3)
    const packets = driver.read()
    assert.deepEqual(
      packets.map(({ segments, segmentBytes }) => [segments, segmentBytes]),
      [
        [8, 1000],
        [16, 1000],
        [4, 1000],
      ],
    )
    assert.deepEqual(
      packets.map(({ ids }) => ids.length),
      [8, 16, 4],
    )
    const [, second, third] = packets.map(wholeOf)
    assert.ok(second !== undefined && third !== undefined)
    const layout = layoutOf(third)
    assert.deepEqual([layout.seq, layout.payloadLength], [16_000, 4000])
    const at = layout.headerLength
    assert.deepEqual(join(second.subarray(at), third.subarray(at)), pattern(20_000))
    const stats = nic.counters.stats().device
    assert.deepEqual([stats.rx_packets, stats.rx_hw_gro_wire_packets], [28, 28])
    assert.equal(stats.rx_bytes, 27_500 + 28 * at)
  }
})

test('a paused link goes on with the segment that found no buffer', () => {
  const { nic, link, driver } = oneQueue({}, { pause: true, clockMs: () => 0 })
  driver.post(2000, 2000)
  link.put(large(4000))
  assert.equal(nic.receive(0, 9), 2)
  assert.ok(nic.paused)
  driver.read()
  driver.post(2000, 2000)
  assert.equal(nic.receive(0, 9), 2)
  assert.ok(!nic.paused)
  driver.read()
  const payload = driver.packets.flatMap(({ pieces }) => pieces)
  assert.deepEqual(join(...payload), pattern(4000))
})

test('what calls itself large and is no TCP segment is delivered as it is', () => {
  const { nic, link, driver } = oneQueue()
  driver.post(4000, 4000)
  const udp = frame({ protocol: 'udp', payload: pattern(3000) })
  link.put({ bytes: udp, segmentBytes: 100 }, { bytes: new Uint8Array(60), segmentBytes: 1 })
  assert.deepEqual(receiveAll(nic, link, driver).map(wholeOf), [udp, new Uint8Array(60)])
})

test('between two cards: sent as one packet, received as one', () => {
  const dma = new DmaSpace()
  const [left, right] = createLinkPair()
  const sender = new NetworkCard({ dma, link: left, queues: 1 })
  const receiver = new NetworkCard({ dma, link: right, queues: 1 })
  const driver = new TestDriver(dma, { needy: true })
  driver.post(...new Array<number>(16).fill(4096))
  receiver.startQueue(0, driver.frontEnd, { ...SPLIT, coalesce: true })
  const packet = frame({ payload: pattern(50_000), badChecksum: true })
  const region = dma.map(packet)
  let left0 = 1
  sender.startTxQueue(0, {
    full: false,
    posted: () => left0,
    peek: (ahead, into) => {
      Object.assign(into, { region, offset: 0, bytes: packet.length, flags: 1 })
      Object.assign(into, { mssBytes: 4096, headerBytes: 54, tag: 0 })
      return ahead < left0
    },
    take: (count) => {
      left0 -= count
    },
    completeHead: () => {},
    complete: () => {},
    flush: () => {},
  })
  assert.equal(sender.transmit(0), 1)
  assert.equal(receiver.receive(0, 9), 1)
  const [received, ...others] = driver.read()
  assert.equal(others.length, 0)
  assert.deepEqual([received?.segments, received?.segmentBytes], [13, 4096])
  assert.deepEqual(join(...(received?.pieces ?? [])), pattern(50_000))
})
