// Needs of a ring end, and completions of a frame.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameKind } from '../../../wire/frame-layout.ts'
import {
  packetTypeOf,
  RX_CHECKSUM_BAD,
  RX_CHECKSUM_OK,
  RX_HEADER_OVERFLOW,
  RX_IP_CHECKSUM_BAD,
  RX_L4_CHECKSUM_BAD,
  RX_SPLIT,
} from '../../rings/rx-front-end.ts'
import { arp, frame, pattern } from './frames.test.helper.ts'
import { oneQueue, receiveAll, wholeOf } from './nic.test.helper.ts'

test('where every packet takes a buffer, headers alone take one, of which they use nothing', () => {
  const { nic, link, driver } = oneQueue({}, {}, { needy: true })
  driver.post(100, 2000)
  link.put(frame(), frame({ payload: pattern(1000) }), frame())
  const packets = receiveAll(nic, link, driver)
  assert.deepEqual(
    packets.map(({ ids, pieces }) => [ids, pieces[0]?.length]),
    [
      [[0], 0],
      [[1], 1000],
    ],
  )
  assert.equal(nic.counters.stats().device.rx_hw_drop_overruns, 1, 'without a buffer it is dropped')
})

test('without an offset, data begins with its buffer', () => {
  for (const needy of [false, true]) {
    for (let seq = 0; seq < 8; seq++) {
      const { nic, link, driver } = oneQueue({ split: 'headers' }, {}, { needy })
      driver.post(2000, 2000)
      link.put(arp(60), frame({ seq, payload: pattern(1500) }))
      const [, packet] = receiveAll(nic, link, driver)
      if (needy) assert.equal(packet?.offset, 0)
    }
  }
})

test('completions tell kinds of packets, both checksums, and headers that were too large', () => {
  const { nic, link, driver } = oneQueue({}, {}, { headerBytes: 64 })
  driver.post(...new Array<number>(20).fill(500))
  const wrongIp = frame({ payload: pattern(9) })
  wrongIp[24] = (wrongIp[24] ?? 0) ^ 1
  const frames: [Uint8Array, number, number][] = [
    [frame({ payload: pattern(9) }), packetTypeOf(FrameKind.tcp, 4), RX_CHECKSUM_OK | RX_SPLIT],
    [
      frame({ ipVersion: 6, protocol: 'udp', payload: pattern(9) }),
      packetTypeOf(FrameKind.udp, 6),
      RX_CHECKSUM_OK | RX_SPLIT,
    ],
    [wrongIp, packetTypeOf(FrameKind.tcp, 4), RX_IP_CHECKSUM_BAD | RX_SPLIT],
    [
      frame({ payload: pattern(9), badChecksum: true }),
      packetTypeOf(FrameKind.tcp, 4),
      RX_L4_CHECKSUM_BAD | RX_SPLIT,
    ],
    [
      frame({ ipVersion: 6, payload: pattern(9) }),
      packetTypeOf(FrameKind.tcp, 6),
      RX_CHECKSUM_OK | RX_HEADER_OVERFLOW,
    ],
    [frame({ protocol: 'icmp' }), packetTypeOf(FrameKind.ip, 4), 0],
    [arp(), packetTypeOf(FrameKind.other, 0), 0],
  ]
  link.put(...frames.map(([bytes]) => bytes))
  const packets = receiveAll(nic, link, driver)
  for (const [at, [bytes, packetType, flags]] of frames.entries()) {
    const packet = packets[at] ?? assert.fail()
    assert.deepEqual([packet.packetType, packet.flags & ~4], [packetType, flags], `frame ${at}`)
    assert.deepEqual(wholeOf(packet), bytes)
  }
  assert.equal(RX_CHECKSUM_BAD, RX_IP_CHECKSUM_BAD | RX_L4_CHECKSUM_BAD)
  assert.equal(nic.counters.stats().device.rx_csum_bad, 2)
})

test('headers of UDP stay with their payload where TCP alone is split', () => {
  const { nic, link, driver } = oneQueue({ splitUdp: false })
  driver.post(500, 500)
  link.put(frame({ protocol: 'udp', payload: pattern(9) }), frame({ payload: pattern(9) }))
  assert.deepEqual(
    receiveAll(nic, link, driver).map(({ header }) => header.length),
    [0, 54],
  )
  assert.equal(nic.counters.stats().device.rx_hsplit_unsplit, 1)
})
