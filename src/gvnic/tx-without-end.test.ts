import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { openCard } from './gvnic.test.helper.ts'
import { setAddressLe } from './testing/driver-rx.test.helper.ts'

const ENTRIES = 256
const DOORBELLS = 2
const END = 0x20
const CHECKSUM = 0x40

/** A driver that writes its descriptors as it likes. */
function rawSender(payloadBytes = 64) {
  const { card, driver, link } = openCard({ entries: ENTRIES }, { queues: 1 })
  const bytes = frame({ payload: pattern(payloadBytes) })
  const address = driver.memory.allocate(bytes.length)
  driver.memory.write(address, bytes)
  const [queue] = driver.tx
  assert.ok(queue !== undefined)
  const ring = driver.memory.view(queue.descriptors, 16 * ENTRIES)
  let tail = 0
  const post = (flags: number, tag: number, from = 0, end = bytes.length): void => {
    const at = 16 * tail
    setAddressLe(ring, at, address + from)
    ring.setUint32(at + 8, flags, true)
    ring.setUint16(at + 12, tag, true)
    ring.setUint16(at + 14, end - from, true)
    tail = (tail + 1) % ENTRIES
  }
  /** Posts a context for segmentation. */
  const context = (segmentBytes: number, headerBytes: number): void => {
    const at = 16 * tail
    ring.setUint16(at + 4, segmentBytes, true)
    ring.setUint8(at + 6, headerBytes)
    ring.setUint32(at + 8, 0x5 | END, true)
    tail = (tail + 1) % ENTRIES
  }
  /** Posts pieces without an end until so many descriptors are in use. */
  const postUpTo = (descriptors: number): void => {
    while (tail < descriptors) post(0xc, 7)
  }
  /** Rings. Returns the packets sent. */
  const poll = (): number => {
    const before = link.sent.length
    card.write(DOORBELLS, 4 * queue.doorbell, 4, tail)
    while (card.poll(0) > 0);
    return link.sent.length - before
  }
  /** Returns the tags of all completions. */
  const tags = (): number[] => {
    const view = driver.memory.view(queue.completions, 8 * ENTRIES)
    const seen = []
    for (let at = 0; view.getUint16(8 * at, true) >> 15 === 1; at++) {
      seen.push(view.getUint16(8 * at + 2, true))
    }
    return seen
  }
  return { card, link, bytes, post, context, postUpTo, poll, tags }
}

for (const contexts of [0, 1, 100]) {
  test(`a ring full of a packet without an end is dropped, ${contexts} contexts included`, () => {
    const { card, link, bytes, post, postUpTo, poll, tags } = rawSender()
    for (let context = 0; context < contexts; context++) post(0x4, 0)
    postUpTo(ENTRIES - 1)
    assert.equal(poll(), 0)
    assert.deepEqual(tags(), [], 'a packet without an end has no completion')
    // The driver does not wait for completions that never come.
    for (let more = 0; more < 200; more++) post(0xc, 7)
    assert.equal(poll(), 0)
    post(0xc | END, 7)
    post(0xc | END, 8)
    assert.equal(poll(), 1)
    assert.deepEqual(tags(), [7, 8])
    assert.deepEqual(link.sent, [bytes])
    assert.equal(card.stats.device.tx_hw_drop_errors, 1)
  })
}

test('an end that fills the ring is waited for', () => {
  const { link, bytes, post, postUpTo, poll, tags } = rawSender()
  postUpTo(ENTRIES - 2)
  assert.equal(poll(), 0)
  post(0xc | END, 7)
  assert.equal(poll(), 1)
  assert.deepEqual([link.sent[0]?.length, tags()], [(ENTRIES - 1) * bytes.length, [7]])
})

test('a packet that is posted bit by bit waits for its end, with its contexts', () => {
  const { link, bytes, post, context, poll, tags } = rawSender(2500)
  context(1000, 54)
  assert.equal(poll(), 0)
  post(0x4, 0)
  post(0xc | CHECKSUM, 7, 0, 700)
  assert.equal(poll(), 0)
  assert.equal(poll(), 0)
  post(0xc | END, 7, 700)
  assert.equal(poll(), 3)
  const lengths = link.sent.map(({ length }) => length)
  assert.deepEqual([lengths, tags()], [[1054, 1054, 554], [7]])
  post(0xc | END, 8)
  assert.equal(poll(), 1, 'the next packet has no context')
  assert.deepEqual([link.sent[3], tags()], [bytes, [7, 8]])
})
