// Large packets of a guest: cut into segments, or carried whole to another card.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { createLinkPair } from '../stack/link/link-pair.ts'
import { MAC, openCard } from './gvnic.test.helper.ts'
import { Gvnic } from './gvnic.ts'
import { DriverModel } from './testing/driver-model.test.helper.ts'

test('a TSO packet of one card arrives coalesced at the other, with its segment size', () => {
  const links = createLinkPair({ queueBytes: 2 ** 22 })
  const [left, right] = links.map((link) => {
    const card = new Gvnic({ link, mac: MAC, queues: 1 })
    const driver = new DriverModel(card, { regionBytes: 2 ** 25 })
    driver.probe()
    driver.open({ split: true, coalesce: true })
    return { card, driver }
  })
  assert.ok(left !== undefined && right !== undefined)
  const bytes = frame({ payload: pattern(60_000) })
  bytes.fill(0, 50, 52)
  left.driver.send(0, bytes, { checksum: true, segmentBytes: 1448, headerBytes: 54 })
  left.card.poll(0)
  right.card.poll(0)
  left.driver.poll()
  assert.equal(left.driver.tx[0]?.completed, 1)
  const packets = right.driver.poll()
  // A packet has at most 16 buffers, as the driver's ring wants it.
  assert.equal(packets.length, 2)
  assert.deepEqual(
    packets.flatMap(({ payload }) => [...payload]),
    [...bytes.subarray(54)],
  )
  for (const { segmentBytes, verified, headers } of packets) {
    assert.deepEqual([segmentBytes, verified, headers.length], [1448, true, 54])
  }
})

test('a TSO packet is cut into segments with checksums on a link that takes no large frames', () => {
  const { card, driver, link } = openCard({}, { queues: 1 })
  const bytes = frame({ payload: pattern(4000) })
  driver.send(0, bytes, { checksum: true, segmentBytes: 1000, headerBytes: 54 })
  card.poll(0)
  assert.deepEqual(
    link.sent.map(({ length }) => length),
    [1054, 1054, 1054, 1054],
  )
  driver.poll()
  assert.equal(driver.tx[0]?.completed, 1)
  // The frames arrive with right checksums.
  link.put(...link.sent)
  card.poll(0)
  const packets = driver.poll()
  assert.ok(packets.every(({ verified }) => verified))
  assert.deepEqual(
    packets.flatMap(({ payload }) => [...payload.subarray(54)]),
    [...pattern(4000)],
  )
})
