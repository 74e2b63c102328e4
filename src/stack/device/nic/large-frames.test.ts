// Large frames as they come from a link: delivered whole, or as the segments that they stand for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillPartialChecksum } from '../../../wire/frame-checksums.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import { ACK, PSH } from '../../../wire/tcp.ts'
import { createLinkPair } from '../../link/link-pair.ts'
import { RX_CHECKSUM_OK } from '../../rings/rx-front-end.ts'
import { DmaSpace } from '../dma-space.ts'
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

test('a paused link continues with the segment that found no buffer', () => {
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

/** A card that sends one large packet of 50,000 bytes at each `send()`, and the one wired to it. */
function wired() {
  const dma = new DmaSpace()
  const [left, right] = createLinkPair()
  const sender = new NetworkCard({ dma, link: left, queues: 1 })
  const receiver = new NetworkCard({ dma, link: right, queues: 1 })
  right.receiver = (head, pieces) => receiver.receivePieces(head, pieces)
  const driver = new TestDriver(dma, { needy: true })
  receiver.startQueue(0, driver.frontEnd, { ...SPLIT, coalesce: true })
  const payload = pattern(50_000)
  const packet = frame({ payload, badChecksum: true })
  const region = dma.map(packet)
  let unread = 0
  let untaken = 0
  sender.startTxQueue(0, {
    full: false,
    posted: () => untaken,
    read: (into) => {
      into.clear()
      into.add(region, 0, packet.length)
      Object.assign(into, { flags: 1, mssBytes: 4096, headerBytes: 54 })
      return --unread >= 0
    },
    take: () => {
      untaken--
      return 1
    },
    rewind: () => {
      unread = untaken
    },
    completeHead: () => {},
    complete: () => {},
    flush: () => {},
  })
  const send = (): void => {
    unread = ++untaken
    assert.equal(sender.transmit(0), 1)
  }
  /** Reads what has arrived: the lengths of the pieces of each packet. */
  const read = (): number[][] => {
    receiver.receive(0, 9)
    return driver.read().map(({ pieces, segments, segmentBytes }) => {
      assert.deepEqual([segments, segmentBytes], [13, 4096])
      assert.deepEqual(join(...pieces), payload)
      return pieces.map(({ length }) => length)
    })
  }
  return { dma, right, receiver, driver, send, read }
}

test('between two cards: sent as one packet, received as one', () => {
  const { right, driver, send, read } = wired()
  for (const buffers of [new Array<number>(13).fill(4096), [20_000, 29_999, 2], [4096, 45_904]]) {
    for (const gapBytes of [() => 0, () => 64, (index: number) => index % 3]) {
      for (const [index, bytes] of buffers.entries()) {
        driver.leaveGap(gapBytes(index))
        driver.post(bytes)
      }
      send()
      assert.equal(right.nextAtNs(), Number.POSITIVE_INFINITY, 'it did not lie on the wire')
      const [lengths] = read()
      assert.equal(lengths?.length, buffers.length)
      assert.deepEqual(lengths?.slice(0, -1), buffers.slice(0, -1))
    }
  }
  assert.ok(driver.untouched)
})

test('between two cards: a packet that finds too few buffers takes none', () => {
  const { right, receiver, driver, send, read } = wired()
  driver.post(50_000 / 2, 50_000 / 2 - 1)
  send()
  assert.equal(right.nextAtNs(), 0, 'it lies on the wire')
  assert.deepEqual(read(), [])
  assert.equal(receiver.counters.stats().device.rx_hw_drop_overruns, 1)
  driver.post(1)
  send()
  assert.deepEqual(read(), [[25_000, 24_999, 1]])
})

test('between two cards: a packet that finds a buffer outside of memory gives it back', () => {
  for (const [region, bytes] of [
    [99, 25_000],
    [undefined, 0],
  ] as const) {
    const { receiver, driver, send, read } = wired()
    driver.post(25_000)
    driver.ring.post(1000, region ?? driver.region, 0, bytes)
    driver.post(25_000, 25_000)
    send()
    assert.deepEqual(read(), [])
    assert.equal(driver.faults, 2, 'with the one before it')
    assert.equal(receiver.counters.stats().device.rx_dma_faults, 1)
    send()
    assert.deepEqual(read(), [[25_000, 25_000]])
  }
})

test('between two cards: a packet whose header buffer is outside of memory is dropped', () => {
  const { dma, receiver, driver, send, read } = wired()
  driver.post(25_000, 25_000)
  dma.unmap(driver.region + 1)
  send()
  assert.deepEqual(read(), [])
  assert.equal(receiver.counters.stats().device.rx_dma_faults, 1)
})
