import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { createLinkPair } from '../stack/link/link-pair.ts'
import { MAC } from './gvnic.test.helper.ts'
import { Gvnic } from './gvnic.ts'
import { DriverModel } from './testing/driver-model.test.helper.ts'

const PIECE_BYTES = 4096
const PIECES = 15
const PACKETS = 16
const HEADER_BYTES = 54
/** Rounds at most. Code that is not compiled yet makes garbage of its own. */
const ROUNDS = 2000

// The engine collects garbage in a thread that answers guests' processors, which stand still until it is done.
test('TSO packets from one card to another make no garbage', () => {
  const [near, far] = createLinkPair({ queueBytes: 2 ** 22 })
  const open = (link: typeof near): readonly [Gvnic, DriverModel] => {
    const card = new Gvnic({ link, mac: MAC, queues: 1, mtu: 4148 })
    const driver = new DriverModel(card, { regionBytes: 2 ** 23 })
    driver.probe()
    driver.open({ split: true, coalesce: true, bufferBytes: PIECE_BYTES })
    return [card, driver]
  }
  const [sending, sender] = open(near)
  const [receiving, receiver] = open(far)
  const address = sender.memory.allocate((1 + PIECES) * PIECE_BYTES)
  const headers = frame({ payload: pattern(PIECES * PIECE_BYTES) }).subarray(0, HEADER_BYTES)
  sender.memory.write(address, headers)
  const pieces = Array.from({ length: 1 + PIECES }, (_, at) => ({
    address: address + at * PIECE_BYTES,
    bytes: at === 0 ? HEADER_BYTES : PIECE_BYTES,
  }))
  const options = { checksum: true, segmentBytes: PIECE_BYTES, headerBytes: HEADER_BYTES }
  /** Returns the bytes of garbage of a piece. */
  const round = (): number => {
    receiver.rx[0]?.post()
    for (let packet = 0; packet < PACKETS; packet++) sender.sendPieces(0, pieces, options)
    const before = process.memoryUsage().heapUsed
    while (sending.poll(0) + receiving.poll(0) > 0);
    const grown = process.memoryUsage().heapUsed - before
    sender.tx[0]?.poll()
    assert.equal(receiver.rx[0]?.discard(), PACKETS)
    // A collection between the two tells nothing.
    return grown < 0 ? Number.POSITIVE_INFINITY : grown / (PACKETS * PIECES)
  }
  let least = Number.POSITIVE_INFINITY
  for (let rounds = 0; rounds < ROUNDS && least >= 4; rounds++) least = Math.min(least, round())
  assert.ok(least < 4, `${least} bytes for each piece of 4 KiB`)
})
