import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { createDoorbell, ringDoorbell, sleepUntilWork, workSeen } from './doorbell.ts'
import { type PostedBuffer, RxCompletion } from './rx-front-end.ts'
import type { RingJob, RingReport } from './shared-rings.test.worker.ts'
import { createRxRings, DriverRxRing, NicRxRing } from './shared-rings.ts'
import { createTxRing, DriverTxRing, NicTxRing } from './shared-tx-rings.ts'
import { TX_END_OF_PACKET, TxPieces } from './tx-front-end.ts'

/** First counts near the places where counts wrap, signed and unsigned. */
const FIRST_COUNTS = [0, -3, 0x7fff_fffd, -0x8000_0000]

function emptyBuffer(): PostedBuffer {
  return { id: -1, region: -1, offset: 0, bytes: 0 }
}

test('buffers one way, completions the other, in any order of posting and polling, past the wrap', () => {
  const steps = fc.array(
    fc.record({
      what: fc.constantFrom('post', 'flush', 'complete', 'show', 'poll'),
      many: fc.nat(5),
    }),
    { maxLength: 80 },
  )
  fc.assert(
    fc.property(
      steps,
      fc.constantFrom(...FIRST_COUNTS),
      fc.constantFrom(1, 2, 8),
      (list, first, entries) => {
        const rings = createRxRings(entries, undefined, createDoorbell(), first)
        const driver = new DriverRxRing(rings)
        const nic = new NicRxRing(rings)
        const buffer = emptyBuffer()
        const completion = new RxCompletion()
        // Counts of all events, and of those that the other side has been shown.
        let posted = 0
        let shownPosted = 0
        let taken = 0
        let shownCompleted = 0
        let polled = 0
        let shownPolled = 0
        for (const { what, many } of list) {
          for (let time = 0; time < many; time++) {
            if (what === 'post' && posted - polled < entries) {
              driver.post(posted, 1, posted * 2, posted * 3)
              posted++
            } else if (
              what === 'complete' &&
              taken < shownPosted &&
              taken - shownPolled < entries
            ) {
              assert.ok(nic.room() >= 1)
              assert.ok(nic.peek(0, buffer))
              assert.deepEqual(buffer, {
                id: taken,
                region: 1,
                offset: taken * 2,
                bytes: taken * 3,
              })
              nic.take(1)
              completion.id = taken++
              nic.complete(completion)
            } else if (what === 'poll') {
              assert.equal(driver.poll(completion), polled < shownCompleted)
              if (polled === shownCompleted) continue
              assert.equal(completion.id, polled)
              assert.equal(driver.headerBuffer, (first + polled) & (entries - 1))
              polled++
            }
          }
          if (what === 'flush') {
            driver.flush()
            shownPosted = posted
            shownPolled = polled
          } else if (what === 'show') {
            nic.flush()
            shownCompleted = taken
          }
          assert.equal(nic.posted(), shownPosted - taken)
          assert.ok(nic.room() <= entries - (taken - shownPolled))
          if (taken - shownPolled === entries) assert.equal(nic.room(), 0)
          assert.equal(nic.peek(shownPosted - taken, buffer), false)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('each completion has a header buffer of its own, over pages of which the last is smaller', () => {
  const pages = [
    { region: 5, offset: 4096, buffers: 3 },
    { region: 6, offset: 0, buffers: 3 },
    { region: 5, offset: 0, buffers: 2 },
  ]
  const nic = new NicRxRing(createRxRings(8, { bytes: 128, pages }, createDoorbell(), 0))
  const places = Array.from({ length: 9 }, () => {
    const header = emptyBuffer()
    nic.headerBuffer(header)
    nic.complete(new RxCompletion())
    assert.equal(header.bytes, 128)
    return `${header.region} ${header.offset}`
  })
  const expected = ['5 4096', '5 4224', '5 4352', '6 0', '6 128', '6 256', '5 0', '5 128', '5 4096']
  assert.deepEqual(places, expected)
  const header = emptyBuffer()
  header.region = 3
  new NicRxRing(createRxRings(8, undefined, createDoorbell())).headerBuffer(header)
  assert.equal(header.region, -1)
})

test('what cannot be a ring', () => {
  const doorbell = createDoorbell()
  for (const entries of [0, 3, 0.5, 65537, 1 << 17]) {
    assert.throws(() => createRxRings(entries, undefined, doorbell), {
      code: 'NETMEM_OUT_OF_RANGE',
    })
  }
  assert.throws(() => createTxRing(16, doorbell), { code: 'NETMEM_OUT_OF_RANGE' })
  const page = (buffers: number) => ({ region: 0, offset: 0, buffers })
  for (const buffers of [[], [7], [1, 7], [2, 1, 5], [4, 2, 2]]) {
    const headers = { bytes: 128, pages: buffers.map(page) }
    assert.throws(() => createRxRings(8, headers, doorbell), { code: 'NETMEM_OUT_OF_RANGE' })
  }
})

test('a driver that writes anything to its counts gets no more than the ring has', () => {
  const rings = createRxRings(8, undefined, createDoorbell(), 0)
  const tx = createTxRing(32, createDoorbell(), 0)
  const nic = new NicRxRing(rings)
  const sender = new NicTxRing(tx)
  for (const count of [-1, 1000, 0x7fff_ffff, -0x8000_0000]) {
    for (const { memory } of [rings, tx]) new Int32Array(memory)[0] = count
    new Int32Array(rings.memory)[32] = count
    assert.ok(nic.posted() >= 0 && nic.posted() <= 8)
    assert.ok(nic.room() <= 8)
    const posted = sender.posted()
    assert.ok(posted >= 0 && posted <= 32)
    const pieces = new TxPieces()
    assert.equal(sender.read(pieces), false)
    assert.equal(pieces.count, posted)
    sender.rewind()
  }
})

test('pieces are read up to the count that was looked at, and anew after a rewind', () => {
  for (const first of FIRST_COUNTS) {
    const rings = createTxRing(32, createDoorbell(), first)
    const driver = new DriverTxRing(rings)
    const nic = new NicTxRing(rings)
    const pieces = new TxPieces()
    const read = (): number[] => {
      const offsets = []
      while (nic.read(pieces)) offsets.push(...pieces.offsets.subarray(0, pieces.count))
      return offsets
    }
    const post = (...offsets: readonly number[]): void => {
      for (const offset of offsets) driver.post(1, offset, 60, TX_END_OF_PACKET)
      driver.flush()
    }
    post(0, 1, 2)
    assert.deepEqual([read(), nic.posted(), read()], [[], 3, [0, 1, 2]])
    post(3)
    assert.deepEqual(read(), [], 'it was posted since')
    nic.rewind()
    assert.ok(nic.read(pieces))
    assert.deepEqual([pieces.offsets[0], nic.take(), nic.posted()], [0, 1, 3])
    assert.deepEqual([read(), nic.take(), nic.take(), nic.posted()], [[1, 2, 3], 3, 0, 0])
    nic.rewind()
    assert.deepEqual(read(), [])
    nic.flush()
    assert.equal(driver.reap(), 4)
  }
})

test('a NIC end that is made again continues where the one before it was', () => {
  const rings = createTxRing(32, createDoorbell())
  const driver = new DriverTxRing(rings)
  const pieces = new TxPieces()
  for (const offset of [1, 2]) {
    const nic = new NicTxRing(rings)
    driver.post(1, offset, 60, TX_END_OF_PACKET)
    driver.flush()
    assert.deepEqual([nic.posted(), nic.read(pieces), pieces.offsets[0]], [1, true, offset])
    assert.equal(nic.take(), 1)
    nic.flush()
    assert.equal(driver.reap(), 1)
  }
})

test('an interrupt comes once, for what has not been polled', async () => {
  const rings = createRxRings(8, undefined, createDoorbell())
  const driver = new DriverRxRing(rings)
  const nic = new NicRxRing(rings)
  const completion = new RxCompletion()
  const interrupt = driver.interrupt()
  assert.ok(interrupt !== undefined)
  nic.complete(completion)
  nic.flush()
  assert.equal(await interrupt, 'ok')
  assert.equal(driver.interrupt(), undefined, 'there is one already')
  assert.equal(driver.poll(completion), true)
  assert.equal(driver.poll(completion), false)
  const next = driver.interrupt()
  nic.complete(completion)
  nic.flush()
  assert.equal(await next, 'ok')
})

test('a doorbell that rang since the NIC looked does not let it sleep', (t) => {
  const wait = t.mock.method(Atomics, 'wait')
  const doorbell = new Int32Array(createDoorbell())
  const seen = workSeen(doorbell)
  ringDoorbell(doorbell)
  sleepUntilWork(doorbell, seen, 5000)
  sleepUntilWork(doorbell, workSeen(doorbell), 1)
  assert.deepEqual(
    wait.mock.calls.map(({ result }) => result),
    ['not-equal', 'timed-out'],
  )
})

test('across two threads nothing is lost, doubled or torn, and both sides sleep and wake', async () => {
  for (const first of FIRST_COUNTS) {
    const doorbell = createDoorbell()
    const headers = new SharedArrayBuffer(16 * 64)
    const pages = [
      { region: 0, offset: 0, buffers: 8 },
      { region: 0, offset: 8 * 64, buffers: 8 },
    ]
    const count = 20_000
    const job: RingJob = {
      rx: createRxRings(16, { bytes: 64, pages }, doorbell, first),
      tx: createTxRing(32, doorbell, first),
      headers,
      count,
    }
    const ring = new DriverRxRing(job.rx)
    const sender = new DriverTxRing(job.tx)
    const worker = new Worker(new URL('shared-rings.test.worker.js', import.meta.url), {
      workerData: job,
    })
    const ended = once(worker, 'message')
    const completion = new RxCompletion()
    const headerView = new DataView(headers)
    let posted = 0
    let polled = 0
    let sent = 0
    let finished = 0
    while (polled < count || finished < count) {
      for (
        let burst = 1 + (posted % 7);
        burst > 0 && posted < count && posted - polled < 16;
        burst--
      ) {
        ring.post(posted & 0xffff, posted % 100, posted * 3, posted + 1)
        posted++
      }
      for (; sent < count && sender.room() > 0; sent++)
        sender.post(sent * 2, sent, -sent, TX_END_OF_PACKET)
      ring.flush()
      sender.flush()
      let idle = true
      while (ring.poll(completion)) {
        idle = false
        const { id, bytes, hash, segments } = completion
        assert.deepEqual(
          [id, bytes, hash, segments],
          [polled & 0xffff, polled + 1, -polled | 0, polled % 100],
        )
        assert.equal(headerView.getInt32(ring.headerBuffer * 64), polled)
        polled++
      }
      const reaped = sender.reap()
      finished += reaped
      if (!idle || reaped > 0) continue
      if (polled < posted) await ring.interrupt()
      else if (finished < sent) await sender.interrupt()
    }
    const [report]: RingReport[] = await ended
    assert.deepEqual(report?.wrong, [])
    assert.deepEqual([posted, polled, sent, finished], [count, count, count, count])
    await worker.terminate()
  }
})
