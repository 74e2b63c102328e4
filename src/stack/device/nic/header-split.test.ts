import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultyRxRing } from '../../rings/faulty-rx-ring.ts'
import { RX_CHECKSUM_OK, RX_END_OF_PACKET, RX_SPLIT } from '../../rings/rx-front-end.ts'
import { arp, frame, pattern } from './frames.test.helper.ts'
import { join, oneQueue, receiveAll, SPLIT, testNic, wholeOf } from './nic.test.helper.ts'

const WHOLE = RX_CHECKSUM_OK | RX_END_OF_PACKET

test('split: headers in the header buffer, payload at the beginning of a buffer of its own', () => {
  for (const [spec, headerBytes] of [
    [{}, 54],
    [{ ipVersion: 6 }, 74],
    [{ vlan: 7, options: pattern(12) }, 70],
    [{ protocol: 'udp' }, 42],
  ] as const) {
    const { nic, link, driver } = oneQueue()
    driver.post(2048)
    const bytes = frame({ ...spec, payload: pattern(1000) })
    link.put(bytes)
    const [packet] = receiveAll(nic, link, driver)
    assert.deepEqual(packet?.header, bytes.subarray(0, headerBytes))
    assert.deepEqual(packet?.pieces, [pattern(1000)])
    assert.equal(packet?.flags, WHOLE | RX_SPLIT)
    assert.equal(packet?.segments, 1)
    const stats = nic.counters.stats().rxQueues[0]
    assert.equal(stats?.rx_hsplit_packets, 1)
    assert.equal(stats?.rx_hsplit_unsplit, 0)
  }
})

test('a payload larger than a buffer continues in the next ones', () => {
  const { nic, link, driver } = oneQueue()
  driver.post(400, 1, 400, 400)
  const bytes = frame({ payload: pattern(900) })
  link.put(bytes)
  const [packet] = receiveAll(nic, link, driver)
  assert.deepEqual(
    packet?.pieces.map(({ length }) => length),
    [400, 1, 400, 99],
  )
  assert.deepEqual(packet === undefined ? undefined : wholeOf(packet), bytes)
})

test('fill: the header buffer is filled up with payload, the rest goes to a buffer', () => {
  const { nic, link, driver } = oneQueue({ split: 'fill' })
  driver.post(2048)
  const bytes = frame({ payload: pattern(1000) })
  link.put(bytes, frame({ payload: pattern(74) }))
  const [packet, small] = receiveAll(nic, link, driver)
  assert.deepEqual(packet?.header, bytes.subarray(0, 128))
  assert.deepEqual(packet?.pieces, [bytes.subarray(128)])
  assert.deepEqual(small?.header.length, 128, 'all of it fits')
  assert.deepEqual(small?.pieces, [])
})

test('frames up to the threshold are in the header buffer whole and take no buffer', () => {
  const { nic, link, driver } = oneQueue({ splitThresholdBytes: 100 })
  driver.post(2048)
  const largest = frame({ payload: pattern(46) })
  link.put(largest, frame({ payload: pattern(47) }))
  const [whole, split] = receiveAll(nic, link, driver)
  assert.deepEqual(whole?.header, largest)
  assert.deepEqual(whole?.ids, [])
  assert.equal(whole?.flags, WHOLE | RX_SPLIT)
  assert.equal(split?.header.length, 54)
  assert.deepEqual(split?.pieces, [pattern(47)])
})

test('a frame without payload takes no buffer, and its padding is left out', () => {
  const { nic, link, driver } = oneQueue()
  link.put(frame({ padding: 6 }), frame({ payload: pattern(3), padding: 3 }))
  assert.equal(nic.receive(0, 1), 1)
  const [ack] = driver.read()
  assert.equal(ack?.header.length, 54)
  assert.deepEqual(ack?.ids, [])
  driver.post(100)
  const [padded] = receiveAll(nic, link, driver)
  assert.deepEqual(padded?.pieces, [pattern(3)])
})

test('what cannot be split goes to a buffer whole: ARP, fragments, other protocols, large headers', () => {
  const unsplit = [
    arp(),
    frame({ fragment: true, payload: pattern(100) }),
    frame({ protocol: 'icmp', payload: pattern(100) }),
    frame({ ipVersion: 6, vlan: 3, options: pattern(40), payload: pattern(100) }),
  ]
  for (const bytes of unsplit) {
    const { nic, link, driver } = oneQueue(
      { boundToDevice: true, splitThresholdBytes: 80 },
      {},
      { headerBytes: 96 },
    )
    driver.post(2048)
    link.put(bytes)
    const [packet] = receiveAll(nic, link, driver)
    assert.equal(packet?.header.length, 0)
    assert.deepEqual(packet?.pieces, [bytes])
    assert.equal((packet?.flags ?? 0) & RX_SPLIT, 0)
    const stats = nic.counters.stats().rxQueues[0]
    assert.equal(stats?.rx_hsplit_unsplit, 1)
    assert.equal(stats?.rx_hsplit_packets, 0)
  }
})

test('a faulty ring whose header buffers are too small: nothing is split', () => {
  const { nic, link, drivers } = testNic()
  const driver = drivers[0] ?? assert.fail()
  driver.post(2048, 2048, 2048)
  nic.startQueue(0, faultyRxRing(driver.frontEnd, { seed: 1, headerOverflow: 1 }), SPLIT)
  const bytes = frame({ payload: pattern(100) })
  link.put(arp(), bytes)
  const [, unsplit] = receiveAll(nic, link, driver)
  assert.deepEqual(unsplit?.pieces, [bytes])
  assert.equal(nic.counters.stats().device.rx_hsplit_unsplit, 2)
})

test('a cut frame is delivered as far as it is there, unverified', () => {
  const { nic, link, driver } = oneQueue()
  driver.post(2048)
  const bytes = frame({ payload: pattern(1000) })
  link.put({ bytes: bytes.subarray(0, 96), originalLength: bytes.length })
  const [packet] = receiveAll(nic, link, driver)
  assert.deepEqual(packet?.pieces, [pattern(1000).subarray(0, 42)])
  assert.equal(packet?.flags, RX_SPLIT | RX_END_OF_PACKET)
  const { rx_truncated, rx_csum_none } = nic.counters.stats().device
  assert.deepEqual([rx_truncated, rx_csum_none], [1, 1])
})

test('without split all goes to the buffer, padding too', () => {
  const { nic, link, driver } = oneQueue({ split: 'off' })
  driver.post(40, 40)
  const bytes = frame({ padding: 6 })
  link.put(bytes)
  const [packet] = receiveAll(nic, link, driver)
  assert.deepEqual(join(...(packet?.pieces ?? [])), bytes)
  assert.equal(nic.counters.stats().device.rx_hsplit_unsplit, 0)
})
