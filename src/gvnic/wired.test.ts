import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../random.ts'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { createLinkPair, type PairedLink } from '../stack/link/link-pair.ts'
import { MAC } from './gvnic.test.helper.ts'
import { Gvnic, type GvnicOptions } from './gvnic.ts'
import { DriverModel, type OpenOptions } from './testing/driver-model.test.helper.ts'
import type { ReceivedPacket } from './testing/driver-rx.test.helper.ts'
import type { SentPiece } from './testing/driver-tx.test.helper.ts'
import { sleepMs } from './thread/card-loop.ts'

interface WiredCard {
  readonly card: Gvnic
  readonly driver: DriverModel
  readonly link: PairedLink
}

/** Two wired cards of one queue. The second one's driver splits and coalesces. */
function wired(open: OpenOptions = {}, options: Partial<GvnicOptions> = {}): WiredCard[] {
  return createLinkPair({ queueBytes: 2 ** 22 }).map((link) => {
    const card = new Gvnic({ link, mac: MAC, queues: 1, ...options })
    const driver = new DriverModel(card, { regionBytes: 2 ** 26 })
    driver.probe()
    driver.open({ split: true, coalesce: true, bufferBytes: 4096, ...open })
    return { card, driver, link }
  })
}

function large(payloadBytes: number, seed = 0): Uint8Array {
  const bytes = frame({ payload: pattern(payloadBytes, seed) })
  bytes.fill(0, 50, 52)
  return bytes
}

const TSO = { checksum: true, segmentBytes: 1448, headerBytes: 54 } as const

test('a TSO packet reaches the other card without lying on the wire', () => {
  const [left, right] = wired()
  assert.ok(left !== undefined && right !== undefined)
  const bytes = large(60_000)
  left.driver.send(0, bytes, TSO)
  left.card.poll(0)
  assert.equal(right.link.nextAtNs(), Number.POSITIVE_INFINITY)
  assert.deepEqual([left.link.tx_packets, right.link.rx_packets], [1, 1])
  left.driver.poll()
  assert.equal(left.driver.tx[0]?.completed, 1)
  assert.deepEqual(right.driver.poll(), [], 'it is shown at the end of a turn')
  right.card.poll(0)
  const [packet] = right.driver.poll()
  assert.deepEqual(packet?.headers.subarray(0, 14), bytes.subarray(0, 14))
  assert.deepEqual(packet?.payload, bytes.subarray(54))
  assert.deepEqual([packet?.segmentBytes, packet?.verified, packet?.buffers], [1448, true, 15])
  const { rx_packets, rx_truncated, rx_hw_gro_packets, rx_hsplit_packets } = right.card.stats.device
  const segments = Math.ceil(60_000 / 1448)
  assert.deepEqual(
    [rx_packets, rx_truncated, rx_hw_gro_packets, rx_hsplit_packets],
    [segments, 0, 1, segments],
  )
})

test('its pieces may begin and end anywhere', () => {
  const [left, right] = wired({ bufferBytes: 2048 })
  assert.ok(left !== undefined && right !== undefined)
  const random = new Random(7)
  for (let round = 0; round < 100; round++) {
    const bytes = large(1449 + random.below(30_000), round)
    const { memory } = left.driver
    let address = memory.allocate(bytes.length + 200 * 9)
    const pieces: SentPiece[] = []
    const add = (at: number, length: number): void => {
      memory.write(address, bytes.subarray(at, at + length))
      pieces.push({ address, bytes: length })
      // Some pieces touch.
      address += length + Math.max(0, random.below(16) - 7)
    }
    for (let at = 0; at < bytes.length; ) {
      const length = Math.min(1 + random.below(round % 2 === 0 ? 5000 : 60), bytes.length - at)
      add(at, length)
      at += length
      if (pieces.length < 200) continue
      add(at, bytes.length - at)
      break
    }
    const sent = pieces.filter(({ bytes: length }) => length > 0)
    assert.notEqual(left.driver.sendPieces(0, sent, TSO), -1)
    left.card.poll(0)
    right.card.poll(0)
    left.driver.poll()
    const packets: readonly ReceivedPacket[] = right.driver.poll()
    assert.equal(packets.length, 1)
    assert.deepEqual(packets[0]?.payload, bytes.subarray(54))
  }
})

test('it waits on the wire behind earlier frames, and where it has to be cut', () => {
  const [left, right] = wired({ coalesce: false })
  assert.ok(left !== undefined && right !== undefined)
  const [small, cut] = [large(100, 1), large(4000, 2)]
  left.driver.send(0, small, { checksum: true })
  left.driver.send(0, cut, TSO)
  left.card.poll(0)
  assert.deepEqual([left.link.tx_packets, right.link.rx_packets], [2, 0])
  right.card.poll(0)
  const packets = right.driver.poll()
  assert.deepEqual(
    packets.map(({ payload }) => payload.length),
    [100, 1448, 1448, 1104],
  )
})

test('frames of one flow arrive in the order of sending, however they travel', () => {
  const [left, right] = wired()
  assert.ok(left !== undefined && right !== undefined)
  for (let round = 0; round < 20; round++) {
    left.driver.send(0, large(3000, 3 * round), TSO)
    left.driver.send(0, large(200, 3 * round + 1), { checksum: true })
    left.driver.send(0, large(5000, 3 * round + 2), TSO)
    left.card.poll(0)
    right.card.poll(0)
    left.driver.poll()
    const received: readonly Uint8Array[] = right.driver.poll().map(({ payload }) => payload)
    const sent = [3000, 200, 5000].map((bytes, at) => pattern(bytes, 3 * round + at))
    assert.deepEqual(received, sent)
  }
})

test('one beyond the MTU of its receiver is dropped, and counted', () => {
  const [left, right] = wired({}, { mtu: 1000 })
  assert.ok(left !== undefined && right !== undefined)
  left.driver.send(0, large(4000), TSO)
  left.card.poll(0)
  right.card.poll(0)
  assert.deepEqual(right.driver.poll(), [])
  assert.ok(right.card.stats.device.rx_over_mru > 0)
})

test('it does not overtake a frame that waits for buffers', () => {
  const [left, right] = wired({}, { pause: true })
  assert.ok(left !== undefined && right !== undefined)
  let sent = 0
  const send = (payloadBytes: number, offloads: Parameters<DriverModel['send']>[2]): void => {
    left.driver.send(0, large(payloadBytes, sent++), offloads)
    left.card.poll(0)
    left.driver.poll()
  }
  while (!right.card.paused) {
    send(100, { checksum: true })
    right.card.poll(0)
  }
  const received: Uint8Array[] = []
  const take = (): void => void received.push(...right.driver.poll().map(({ payload }) => payload))
  take()
  send(3000, TSO)
  for (let turn = 0; received.length < sent && turn < 4; turn++) {
    right.card.poll(0)
    take()
  }
  const expected = Array.from({ length: sent }, (_, at) =>
    pattern(at === sent - 1 ? 3000 : 100, at),
  )
  assert.deepEqual(received, expected)
})

test('a thread sleeps until a frame is due that a card can receive', () => {
  const [left, right] = wired({}, { pause: true })
  assert.ok(left !== undefined && right !== undefined)
  const send = (): void => {
    left.driver.send(0, frame({ payload: pattern(100) }))
    left.card.poll(0)
    left.driver.poll()
  }
  assert.equal(sleepMs([left, right], 0), 250)
  send()
  assert.deepEqual(
    [-1.5e6, 0, 5e6].map((nowNs) => sleepMs([left, right], nowNs)),
    [2, 0, 0],
  )
  right.card.linkUp = false
  assert.equal(sleepMs([left, right], 0), 250, 'it waits for the link')
  right.card.linkUp = true
  while (!right.card.paused) {
    send()
    right.card.poll(0)
  }
  send()
  assert.equal(sleepMs([left, right], 0), 250, 'it waits for buffers')
})

test('what is sent to a card whose interface is down, or whose link is, is lost as on a cable', () => {
  const [left, right] = wired()
  assert.ok(left !== undefined && right !== undefined)
  const poll = (): void => {
    while (left.card.poll(0) + right.card.poll(0) > 0);
  }
  const small = frame({ payload: pattern(100) })
  const send = (): void => {
    left.driver.send(0, large(60_000), TSO)
    left.driver.send(0, small)
    poll()
    left.driver.poll()
  }
  const open = right.driver.rx.length
  right.driver.close()
  send()
  assert.equal(left.driver.tx[0]?.completed, 2, 'their sender does not wait')
  assert.equal(right.link.nextAtNs(), Number.POSITIVE_INFINITY, 'nothing is kept')
  right.driver.open({ split: true, coalesce: true, bufferBytes: 4096 })
  assert.equal(right.driver.rx.length, open)
  poll()
  assert.deepEqual(right.driver.poll(), [], 'nothing old arrives')
  right.card.linkUp = false
  send()
  right.card.linkUp = true
  poll()
  assert.deepEqual(right.driver.poll(), [])
  send()
  assert.equal(right.driver.poll().length, 2)
})
