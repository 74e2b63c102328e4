import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACK, FIN, PSH, RST, SYN, URG } from '../../../wire/tcp.ts'
import {
  type FrameSpec,
  fillChecksums,
  frame,
  ipChecksumIsRight,
  layoutOf,
  pattern,
  timestamps,
} from './frames.test.helper.ts'
import { join, oneQueue, receiveAll, wholeOf } from './nic.test.helper.ts'

const COALESCE = { coalesce: true }

function segment(at: number, spec: FrameSpec = {}, bytes = 100): Uint8Array {
  return frame({ seq: 0xffff_ff00 + at, payload: pattern(bytes, at), ...spec })
}

test('segments that follow each other are one packet, as one longer segment would be', () => {
  for (const split of ['off', 'headers', 'fill'] as const) {
    for (const ipVersion of [4, 6] as const) {
      const { nic, link, driver } = oneQueue({ split, ...COALESCE })
      driver.post(4096)
      link.put(
        segment(0, { ipVersion, ack: 5, window: 10 }),
        segment(100, { ipVersion, ack: 7, window: 11 }),
        segment(200, { ipVersion, ack: 7, window: 9, flags: ACK | PSH }),
      )
      const [packet, ...others] = receiveAll(nic, link, driver)
      assert.equal(others.length, 0)
      assert.ok(packet !== undefined)
      assert.equal(packet.segments, 3)
      assert.equal(packet.ids.length, 1)
      const payload = join(pattern(100, 0), pattern(100, 100), pattern(100, 200))
      const spec = { ipVersion, ack: 7, window: 9, flags: ACK | PSH, seq: 0xffff_ff00 }
      const expected = frame({ ...spec, payload })
      const whole = wholeOf(packet)
      const layout = layoutOf(whole)
      assert.ok(ipChecksumIsRight(whole, 0, layout))
      // TCP's checksum is the first segment's.
      for (const bytes of [whole, expected])
        bytes.fill(0, layout.l4Offset + 16, layout.l4Offset + 18)
      assert.deepEqual(whole, expected)
      const stats = nic.counters.stats().device
      assert.equal(stats.rx_packets, 3)
      assert.equal(stats.rx_csum_unnecessary, 3)
      assert.equal(stats.rx_hw_gro_packets, 1)
      assert.equal(stats.rx_hw_gro_wire_packets, 3)
      assert.equal(stats.rx_hw_gro_bytes, expected.length)
      assert.equal(stats.rx_hw_gro_wire_bytes, stats.rx_bytes)
      assert.equal(stats.rx_hsplit_packets, split === 'off' ? 0 : 3)
    }
  }
})

/** The second segment with another byte at `at`, and right checksums. */
function edited(at: number, byte: number): Uint8Array {
  const bytes = segment(100)
  bytes[at] = byte
  fillChecksums(bytes)
  return bytes
}

test('what does not continue a packet begins another', () => {
  const second: Record<string, Uint8Array> = {
    'a gap': segment(101),
    'a retransmission': segment(0),
    'another flow': segment(100, { sourcePort: 1001 }),
    'another address': segment(100, { source: 3 }),
    'another station': edited(11, 77),
    'a congestion mark': edited(15, 3),
    'a reserved bit of TCP': edited(46, 0x51),
    'another VLAN': segment(100, { vlan: 3 }),
    'another time to live': segment(100, { ttl: 3 }),
    'an older acknowledgement': segment(100, { ack: 0xffff_ffff }),
    'other options': segment(100, { options: pattern(12, 1) }),
    'no payload': segment(100, {}, 0),
    FIN: segment(100, { flags: ACK | FIN }),
    SYN: segment(100, { flags: ACK | SYN }),
    RST: segment(100, { flags: ACK | RST }),
    URG: segment(100, { flags: ACK | URG }),
    'congestion flags': segment(100, { flags: ACK | 64 }),
    'no ACK': segment(100, { flags: PSH }),
    'a wrong checksum': segment(100, { badChecksum: true }),
    padding: segment(100, { padding: 1 }),
    UDP: frame({ protocol: 'udp', payload: pattern(100) }),
    'more payload than the first': segment(100, {}, 101),
  }
  for (const [name, bytes] of Object.entries(second)) {
    const { nic, link, driver } = oneQueue(COALESCE)
    driver.post(2048, 2048)
    link.put(segment(0), bytes)
    const packets = receiveAll(nic, link, driver)
    assert.deepEqual(
      packets.map(({ segments }) => segments),
      [1, 1],
      name,
    )
    assert.equal(nic.counters.stats().device.rx_hw_gro_packets, 0)
  }
  const six = oneQueue(COALESCE)
  six.driver.post(2048, 2048, 2048)
  six.link.put(
    segment(0, { ipVersion: 6 }),
    segment(100, { ipVersion: 6, ttl: 3 }),
    segment(200, { ipVersion: 6, ttl: 3, sourcePort: 9 }),
  )
  assert.equal(receiveAll(six.nic, six.link, six.driver).length, 3)
  const { nic, link, driver } = oneQueue(COALESCE)
  driver.post(2000)
  link.put(segment(0, {}, 1000), segment(1000, {}, 1000))
  assert.equal(receiveAll(nic, link, driver)[0]?.segments, 2, 'to the last byte of the buffer')
  driver.post(2000, 2000)
  link.put(segment(0), segment(100, {}, 99), segment(199, {}, 99))
  assert.deepEqual(
    receiveAll(nic, link, driver).map(({ segments }) => segments),
    [2, 1],
    'a shorter segment is the last',
  )
})

test('a packet ends with PSH and with its batch', () => {
  const { nic, link, driver } = oneQueue(COALESCE)
  driver.post(2048, 2048, 2048)
  link.put(segment(0, { flags: ACK | PSH }), segment(100), segment(200), segment(300))
  assert.equal(nic.receive(0, 3), 3)
  assert.equal(nic.receive(0, 3), 1)
  assert.deepEqual(
    driver.read().map(({ segments }) => segments),
    [1, 2, 1],
  )
})

test('timestamps may differ, and the first are kept; other options may not', () => {
  for (const [first, second, segments] of [
    [timestamps(1), timestamps(2), 2],
    [timestamps(1), pattern(12), 1],
    [pattern(12), timestamps(1), 1],
    [pattern(12), pattern(12), 2],
  ] as const) {
    const { nic, link, driver } = oneQueue(COALESCE)
    driver.post(2048, 2048)
    link.put(segment(0, { options: first }), segment(100, { options: second }))
    const [packet] = receiveAll(nic, link, driver)
    assert.equal(packet?.segments, segments)
    assert.deepEqual(packet?.header.subarray(54), first)
  }
})

test('a packet stays under 64 KiB', () => {
  const { nic, link, driver } = oneQueue(COALESCE, {}, { entries: 64 })
  driver.post(1 << 17, 1 << 17)
  const frames = Array.from({ length: 10 }, (_, at) => segment(at * 9000, {}, 9000))
  link.put(...frames)
  assert.deepEqual(
    receiveAll(nic, link, driver).map(({ segments }) => segments),
    [7, 3],
  )
})

test('a packet takes as many buffers as it needs, at most 16, and the next payload fills the last one', () => {
  for (const split of ['off', 'headers'] as const) {
    const { nic, link, driver } = oneQueue({ split, ...COALESCE })
    driver.post(...new Array<number>(40).fill(300))
    const frames = Array.from({ length: 60 }, (_, at) => segment(at * 100))
    link.put(...frames)
    const packets = receiveAll(nic, link, driver)
    const headers = split === 'off' ? 54 : 0
    const first = Math.floor((16 * 300 - headers) / 100)
    assert.deepEqual(
      packets.map(({ segments }) => segments),
      [first, 60 - first],
    )
    assert.equal(packets[0]?.ids.length, 16)
    assert.ok(packets.every(({ segmentBytes }) => segmentBytes === 100))
    const payload = join(...packets.map((packet) => wholeOf(packet).subarray(54)))
    assert.deepEqual(payload, join(...frames.map((bytes) => bytes.subarray(54))))
    const whole = wholeOf(packets[0] ?? assert.fail())
    assert.equal(layoutOf(whole).payloadLength, first * 100)
    assert.ok(ipChecksumIsRight(whole, 0, layoutOf(whole)))
    assert.equal(nic.counters.stats().device.rx_hw_gro_wire_bytes, 60 * 154)
    assert.ok(driver.untouched)
  }
})

test('a packet ends where no buffer is left, or the next one is not mapped', () => {
  for (const [region, segments, faults] of [
    [-1, [3], 0],
    [99, [3], 1],
  ] as const) {
    const { nic, link, driver } = oneQueue(COALESCE)
    driver.post(300)
    if (region >= 0) {
      driver.ring.post(77, region, 0, 300)
      driver.ring.flush()
    }
    link.put(...Array.from({ length: 4 }, (_, at) => segment(at * 100)))
    assert.deepEqual(
      receiveAll(nic, link, driver).map((packet) => packet.segments),
      segments,
    )
    assert.equal(driver.faults, faults)
    const { rx_hw_drops, rx_dma_faults } = nic.counters.stats().device
    assert.deepEqual([rx_hw_drops, rx_dma_faults], [1, faults])
  }
})

test('a driver that writes to header buffers early does not change the merged packet', () => {
  const { nic, link, driver } = oneQueue(COALESCE)
  driver.post(2000)
  link.put(segment(0), segment(100))
  const receive = link.receive.bind(link)
  link.receive = () => {
    driver.headers.fill(0xab)
    return receive()
  }
  const [packet] = receiveAll(nic, link, driver)
  assert.equal(packet?.segments, 2)
  assert.equal(layoutOf(wholeOf(packet ?? assert.fail())).payloadLength, 200)
})

test('unverified segments, and those not split on a queue that splits, are not merged', () => {
  const unverified = oneQueue(COALESCE, { verifyChecksums: false })
  unverified.driver.post(2048, 2048)
  unverified.link.put(segment(0), segment(100))
  assert.equal(receiveAll(unverified.nic, unverified.link, unverified.driver).length, 2)
  const overflow = oneQueue(COALESCE, {}, { headerBytes: 50 })
  overflow.driver.post(2048, 2048)
  overflow.link.put(segment(0), segment(100))
  assert.equal(receiveAll(overflow.nic, overflow.link, overflow.driver).length, 2)
})
