import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { openCard } from './gvnic.test.helper.ts'
import { setAddressLe } from './testing/driver-rx.ts'

const ENTRIES = 256
const DOORBELLS = 2
const END = 0x20

for (const contexts of [0, 1, 100]) {
  test(`a ring full of a packet without an end is dropped, ${contexts} contexts included`, () => {
    const { card, driver, link } = openCard({ entries: ENTRIES }, { queues: 1 })
    const bytes = frame({ payload: pattern(64) })
    const address = driver.memory.allocate(bytes.length)
    driver.memory.write(address, bytes)
    const [queue] = driver.tx
    assert.ok(queue !== undefined)
    const ring = driver.memory.view(queue.descriptors, 16 * ENTRIES)
    let tail = 0
    const post = (flags: number, tag: number): void => {
      const at = 16 * tail
      setAddressLe(ring, at, address)
      ring.setUint32(at + 8, flags, true)
      ring.setUint16(at + 12, tag, true)
      ring.setUint16(at + 14, bytes.length, true)
      tail = (tail + 1) % ENTRIES
    }
    /** Rings. Returns the packets sent. */
    const poll = (): number => {
      const before = link.sent.length
      card.write(DOORBELLS, 4 * queue.doorbell, 4, tail)
      while (card.poll(0) > 0);
      return link.sent.length - before
    }
    /** Returns the tags of the completions from one on. */
    const tags = (from: number): number[] => {
      const view = driver.memory.view(queue.completions, 8 * ENTRIES)
      const seen = []
      for (let at = from; view.getUint16(8 * at, true) >> 15 === 1; at++) {
        seen.push(view.getUint16(8 * at + 2, true))
      }
      return seen
    }
    for (let context = 0; context < contexts; context++) post(0x4, 0)
    while (tail < ENTRIES - 2) post(0xc, 7)
    assert.equal(poll(), 0)
    assert.deepEqual(tags(0), [], 'its end may still come')
    post(0xc, 7)
    assert.equal(poll(), 0)
    assert.deepEqual(tags(0), [], 'a packet without an end has no completion')
    // The driver does not wait for completions that never come.
    for (let more = 0; more < 200; more++) post(0xc, 7)
    assert.equal(poll(), 0)
    post(0xc | END, 7)
    post(0xc | END, 8)
    assert.equal(poll(), 1)
    assert.deepEqual(tags(0), [7, 8])
    assert.deepEqual(link.sent, [bytes])
    assert.equal(card.stats.device.tx_hw_drop_errors, 1)
  })
}

test('a packet that fills the ring is sent', () => {
  const { card, driver, link } = openCard({ entries: ENTRIES }, { queues: 1 })
  const bytes = frame({ payload: pattern(ENTRIES) })
  const address = driver.memory.allocate(bytes.length)
  driver.memory.write(address, bytes)
  // One descriptor is the context of its metadata, and one stays free.
  const pieces = Array.from({ length: ENTRIES - 3 }, (_, at) => ({
    address: address + at,
    bytes: at < ENTRIES - 4 ? 1 : bytes.length - at,
  }))
  assert.ok(driver.sendPieces(0, pieces) >= 0)
  card.poll(0)
  assert.deepEqual(link.sent, [bytes])
})
