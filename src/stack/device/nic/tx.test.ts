import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { createDoorbell } from '../../rings/doorbell.ts'
import type { NicStats } from '../../rings/nic-types.ts'
import { createTxRing, DriverTxRing, NicTxRing } from '../../rings/shared-tx-rings.ts'
import { TX_CHECKSUM, TX_END_OF_PACKET } from '../../rings/tx-front-end.ts'
import { arp, frame, pattern } from './frames.test.helper.ts'
import type { NetworkCard } from './network-card.ts'
import { testNic } from './nic.test.helper.ts'

const LAST = TX_END_OF_PACKET

interface Sender {
  readonly nic: NetworkCard
  readonly ring: DriverTxRing
  readonly region: number
  readonly memory: Uint8Array
  readonly sent: readonly Uint8Array[]
  readonly unmap: () => void
  readonly stats: () => NicStats['device']
}

function sender(entries = 64, maxFrameBytes = 0x1_0011): Sender {
  const { nic, link, dma } = testNic({ maxFrameBytes })
  const memory = new Uint8Array(1 << 17)
  const region = dma.map(memory)
  const rings = createTxRing(entries, createDoorbell())
  nic.startTxQueue(0, new NicTxRing(rings))
  const ring = new DriverTxRing(rings)
  const stats = () => nic.counters.stats().device
  return { nic, ring, region, memory, sent: link.sent, unmap: () => dma.unmap(region), stats }
}

test('the pieces of a packet go out as one frame, in the order of posting', () => {
  const { nic, ring, region, memory, sent, stats } = sender()
  const bytes = frame({ payload: pattern(2000) })
  memory.set(bytes)
  ring.post(region, 0, 54, 0)
  ring.post(region, 54, 0, 0)
  ring.post(region, 54, 1500, 0)
  ring.post(region, 1554, 500, LAST)
  ring.post(region, 0, bytes.length, LAST)
  assert.equal(nic.transmit(0), 0, 'not flushed')
  ring.flush()
  assert.equal(ring.room(), 59)
  assert.equal(nic.transmit(0), 2)
  assert.deepEqual(sent, [bytes, bytes])
  assert.equal(ring.reap(), 5)
  assert.equal(ring.room(), 64)
  const { tx_packets, tx_bytes, tx_csum_none, tx_needs_csum } = stats()
  assert.deepEqual([tx_packets, tx_bytes], [2, 2 * bytes.length])
  assert.deepEqual([tx_csum_none, tx_needs_csum], [2, 0])
})

test('checksums are completed where asked for, and the sender’s memory is left as it is', () => {
  const { nic, ring, region, memory, sent, stats } = sender()
  const bytes = frame({ payload: pattern(500) })
  const raw = bytes.slice()
  raw.set([0, 0], 24)
  raw.set([0x12, 0x34], 50)
  memory.set(raw)
  ring.post(region, 0, 200, TX_CHECKSUM)
  ring.post(region, 200, raw.length - 200, LAST)
  ring.post(region, 0, raw.length, LAST)
  memory.set(arp(), 4000)
  ring.post(region, 4000, 60, LAST | TX_CHECKSUM)
  ring.flush()
  assert.equal(nic.transmit(0), 3)
  assert.deepEqual(sent, [bytes, raw, arp()])
  assert.deepEqual(memory.subarray(0, raw.length), raw)
  assert.equal(stats().tx_needs_csum, 1)
})

test('a packet whose end is not posted yet waits', () => {
  const { nic, ring, region, memory, sent } = sender()
  memory.set(pattern(100))
  ring.post(region, 0, 60, 0)
  ring.flush()
  assert.equal(nic.transmit(0), 0)
  assert.equal(ring.reap(), 0)
  memory.set([0xff], 0)
  ring.post(region, 60, 40, LAST)
  ring.flush()
  assert.equal(nic.transmit(0), 1)
  assert.equal(sent[0]?.[0], 0xff)
})

test('what cannot be sent is dropped and counted, and its memory given back', () => {
  const { nic, ring, region, sent, stats, unmap } = sender(64, 3000)
  const post = (...pieces: readonly (readonly [number, number, number])[]): void => {
    for (const [at, piece] of pieces.entries()) {
      ring.post(piece[0], piece[1], piece[2], at === pieces.length - 1 ? LAST : 0)
    }
    ring.flush()
  }
  post([99, 0, 60])
  post([region, 0, 60], [-1, 0, 60], [region, 0, 60])
  post([region, 1 << 17, 1])
  post([region, -1, 60])
  post([region, 0, -60])
  assert.equal(nic.transmit(0), 0)
  assert.equal(stats().tx_dma_faults, 5)
  post([region, 0, 13])
  post([region, 0, 2990], [region, 0, 11])
  assert.equal(nic.transmit(0), 0)
  assert.equal(stats().tx_hw_drop_errors, 2)
  post([region, 0, 3000])
  assert.equal(nic.transmit(0), 1)
  assert.equal(stats().tx_hw_drops, 7)
  unmap()
  post([region, 0, 3000])
  assert.equal(nic.transmit(0), 0)
  assert.equal(ring.reap(), 12)
  assert.equal(sent.length, 1)
})

test('a packet may fill the ring; one without an end then is dropped whole, however late that comes', () => {
  const { nic, ring, region, sent, stats } = sender(64)
  const post = (pieces: number, last: boolean): void => {
    for (let piece = 1; piece <= pieces; piece++) {
      ring.post(region, 0, 20, last && piece === pieces ? LAST : 0)
    }
    ring.flush()
  }
  post(64, true)
  assert.equal(nic.transmit(0), 1)
  assert.equal(ring.reap(), 64)
  post(40, false)
  assert.equal(nic.transmit(0), 0)
  post(23, false)
  assert.equal(nic.transmit(0), 0)
  assert.equal(ring.reap(), 0, 'its end may still come')
  post(1, false)
  assert.equal(nic.transmit(0), 0)
  assert.equal(ring.reap(), 64, 'it does not block the ring')
  post(1, false)
  assert.equal(nic.transmit(0), 0)
  assert.equal(stats().tx_hw_drop_errors, 0)
  post(2, true)
  post(1, true)
  assert.equal(nic.transmit(0), 1)
  assert.equal(ring.reap(), 4)
  assert.deepEqual([stats().tx_hw_drop_errors, stats().tx_hw_drops], [1, 1])
  assert.deepEqual(
    sent.map(({ length }) => length),
    [1280, 20],
  )
})

test('a ring that fills while the NIC looks may have the end of a packet', () => {
  const rings = createTxRing(32, createDoorbell())
  const driver = new DriverTxRing(rings)
  const frontEnd = new NicTxRing(rings)
  for (let piece = 1; piece <= 31; piece++) driver.post(0, 0, 20, 0)
  driver.flush()
  assert.equal(frontEnd.posted(), 31)
  driver.post(0, 0, 20, LAST)
  driver.flush()
  assert.equal(frontEnd.full, false)
  assert.equal(frontEnd.posted(), 32)
  assert.equal(frontEnd.full, true)
})

test('a stopped queue sends nothing; starting twice is refused', () => {
  const { nic, ring, region } = sender()
  const frontEnd = new NicTxRing(createTxRing(32, createDoorbell()))
  assert.throws(() => nic.startTxQueue(0, frontEnd), { code: 'NETMEM_NIC_BUSY', errno: 'EBUSY' })
  assert.throws(() => nic.startTxQueue(1, frontEnd), { code: 'NETMEM_NIC_CONFIG' })
  ring.post(region, 0, 60, LAST)
  ring.flush()
  nic.stopTxQueue(0)
  assert.equal(nic.transmit(0), 0)
  assert.equal(ring.reap(), 0)
  nic.startTxQueue(0, frontEnd)
})

test('any pieces: what is sent is what was posted', () => {
  const piece = fc.record({ offset: fc.nat(4000), bytes: fc.nat(400) })
  const packet = fc.array(piece, { minLength: 1, maxLength: 10 })
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 40 }), fc.nat(4), (packets, every) => {
      const { nic, ring, region, memory, sent } = sender(32)
      memory.set(pattern(5000))
      const expected: number[][] = []
      let posted = 0
      let reaped = 0
      for (const [at, pieces] of packets.entries()) {
        if (ring.room() < pieces.length) {
          ring.flush()
          nic.transmit(0)
          reaped += ring.reap()
        }
        const bytes: number[] = []
        for (const [index, { offset, bytes: length }] of pieces.entries()) {
          ring.post(region, offset, length, index === pieces.length - 1 ? LAST : 0)
          posted++
          bytes.push(...memory.subarray(offset, offset + length))
        }
        if (bytes.length >= 14) expected.push(bytes)
        if (at % (every + 1) === 0) {
          ring.flush()
          nic.transmit(0)
          reaped += ring.reap()
        }
      }
      ring.flush()
      nic.transmit(0)
      assert.equal(reaped + ring.reap(), posted)
      assert.deepEqual(
        sent.map((bytes) => [...bytes]),
        expected,
      )
    }),
    { numRuns: 60 },
  )
})
