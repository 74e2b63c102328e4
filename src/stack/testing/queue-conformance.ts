/** Tests of the rings between a driver and a NIC: the shared ones or yours. */

import assert from 'node:assert/strict'
import { test as nodeTest } from 'node:test'
import { Random } from '../../random.ts'
import {
  type PostedBuffer,
  packetTypeOf,
  RxCompletion,
  type RxFrontEnd,
} from '../rings/rx-front-end.ts'

/** Driver's end of an RX queue. */
export interface DriverEnd {
  /** Posts a buffer, which the NIC sees after {@link flush}. */
  post(id: number, region: number, offset: number, bytes: number): void
  /** Shows the NIC what was posted, and gives it the completions that were read. */
  flush(): void
  /** Reads the next completion that the NIC has flushed. Returns false if there is none. */
  poll(into: RxCompletion): boolean
}

/** Both ends of one queue, of `entries` entries each way. */
export interface QueueEnds {
  /** The driver's end. */
  readonly driver: DriverEnd
  /** The NIC's end. */
  readonly nic: RxFrontEnd
}

/** Options of {@link queueConformance}. */
export interface QueueConformanceOptions {
  /** Registers one test. `test` of `node:test` by default. */
  readonly test?: (name: string, body: () => void) => unknown
}

const RANDOM_STEPS = 20_000
/** Entries of the queues that are tested. */
const ENTRIES = 8

/**
 * Registers the tests that every queue passes.
 *
 * @param make called for each test with a power of two.
 */
export function queueConformance(
  name: string,
  make: (entries: number) => QueueEnds,
  options: QueueConformanceOptions = {},
): void {
  const register = options.test ?? ((title, body) => nodeTest(title, body))
  const test = (what: string, body: (ends: QueueEnds) => void): void => {
    register(`${name}: ${what}`, () => body(make(ENTRIES)))
  }
  test('is empty at first', ({ driver, nic }) => {
    assert.equal(nic.posted(), 0)
    assert.equal(nic.peek(0, buffer()), false)
    assert.equal(driver.poll(new RxCompletion()), false)
  })
  test('shows posted buffers in order, once they are flushed', ({ driver, nic }) => {
    for (let id = 0; id < 8; id++) driver.post(id, 3, id * 100, 50 + id)
    assert.equal(nic.peek(0, buffer()), false, 'nothing is visible before flush()')
    driver.flush()
    assert.equal(nic.posted(), 8)
    const seen = buffer()
    for (let id = 0; id < 8; id++) {
      assert.ok(nic.peek(0, seen))
      assert.deepEqual(seen, { id, region: 3, offset: id * 100, bytes: 50 + id })
      nic.take(1)
    }
    assert.equal(nic.peek(0, seen), false)
    assert.equal(nic.posted(), 0)
  })
  test('shows completions in order, once they are flushed', ({ driver, nic }) => {
    const completion = new RxCompletion()
    for (let id = 0; id < 8; id++) {
      completion.id = id
      nic.complete(completion)
    }
    assert.equal(driver.poll(completion), false, 'nothing is visible before flush()')
    nic.flush()
    for (let id = 0; id < 8; id++) {
      assert.ok(driver.poll(completion))
      assert.equal(completion.id, id)
    }
    assert.equal(driver.poll(completion), false)
  })
  test('carries every field', ({ driver, nic }) => {
    const sent = Object.assign(new RxCompletion(), {
      id: -1,
      offset: 6,
      bytes: 65_536,
      headerBytes: 256,
      flags: 255,
      packetType: packetTypeOf(5, 6),
      hash: -0x7fff_ffff,
      segments: 7,
      segmentBytes: 65_535,
    })
    nic.complete(sent)
    nic.flush()
    const got = new RxCompletion()
    assert.ok(driver.poll(got))
    assert.deepEqual({ ...got }, { ...sent })
  })
  test('has room for as many completions as entries', ({ driver, nic }) => {
    const completion = new RxCompletion()
    for (let left = 8; left > 0; left--) {
      assert.equal(nic.room(), left)
      nic.complete(completion)
    }
    assert.equal(nic.room(), 0)
    nic.flush()
    while (driver.poll(completion));
    driver.flush()
    assert.equal(nic.room(), 8)
  })
  test('looks ahead without taking', ({ driver, nic }) => {
    for (let id = 0; id < 4; id++) driver.post(id, 0, 0, 1)
    driver.flush()
    const seen = buffer()
    for (const ahead of [3, 0, 2, 1]) {
      assert.ok(nic.peek(ahead, seen))
      assert.equal(seen.id, ahead)
    }
    assert.equal(nic.peek(4, seen), false)
    nic.take(3)
    assert.ok(nic.peek(0, seen))
    assert.equal(seen.id, 3)
  })
  test(`survives ${RANDOM_STEPS} random steps beside a plain model`, randomSteps)
}

function buffer(): PostedBuffer {
  return { id: -1, region: -1, offset: -1, bytes: -1 }
}

function randomSteps({ driver, nic }: QueueEnds): void {
  const random = new Random(12_345)
  // The model: posted buffers and completions, each flushed or not.
  const posted: number[] = []
  const completed: number[] = []
  let unflushedPosts: number[] = []
  let unflushedCompletions: number[] = []
  let outstanding = 0
  let unreaped = 0
  let next = 0
  const completion = new RxCompletion()
  const seen = buffer()
  for (let step = 0; step < RANDOM_STEPS; step++) {
    const what = random.below(6)
    if (what === 0 && outstanding < ENTRIES) {
      driver.post(next, next & 3, next, 100)
      unflushedPosts.push(next++)
      outstanding++
    } else if (what === 1) {
      driver.flush()
      posted.push(...unflushedPosts)
      unflushedPosts = []
      unreaped = completed.length + unflushedCompletions.length
    } else if (what <= 3) {
      const [id] = posted
      assert.equal(nic.peek(0, seen), id !== undefined)
      if (id === undefined || unreaped === ENTRIES) continue
      assert.ok(nic.room() > 0)
      assert.equal(seen.id, id)
      nic.take(1)
      posted.shift()
      completion.id = id
      nic.complete(completion)
      unflushedCompletions.push(id)
      unreaped++
    } else if (what === 4) {
      nic.flush()
      completed.push(...unflushedCompletions)
      unflushedCompletions = []
    } else {
      const id = completed.shift()
      assert.equal(driver.poll(completion), id !== undefined)
      if (id === undefined) continue
      assert.equal(completion.id, id)
      outstanding--
    }
  }
}
