import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ARMED, ASKS, COMPLETED, RESTS, RUNS, type SteppedNic } from './interrupts.test.worker.ts'
import { armInterrupt, raiseInterrupt } from './interrupts.ts'

/** Steps of a NIC that signals a completion, and places before, between and after a driver's steps. */
const NIC_STEPS = 4
const PLACES = 6

/** All ways to put `steps` steps into `places` places. */
function* schedules(steps: number, places: number): Generator<readonly number[]> {
  if (places === 1) return yield [steps]
  for (let first = 0; first <= steps; first++) {
    for (const rest of schedules(steps - first, places - 1)) yield [first, ...rest]
  }
}

test('no order of the steps of a driver and a NIC loses an interrupt', async (t) => {
  const job: SteppedNic = {
    ring: new SharedArrayBuffer(8),
    turn: new SharedArrayBuffer(4),
  }
  const ring = new Int32Array(job.ring)
  const turn = new Int32Array(job.turn)
  const nic = new Worker(new URL('interrupts.test.worker.js', import.meta.url), { workerData: job })
  t.after(() => nic.terminate())
  const { load, store, notify, wait, waitAsync } = Atomics

  const giveTurn = (): void => {
    store(turn, 0, RUNS)
    notify(turn, 0)
    wait(turn, 0, RUNS)
  }
  /** Lets the NIC take steps of the completion that it signals, as many as there are. */
  const allow = (steps: number): void => {
    for (let step = 0; step < steps && load(turn, 0) === ASKS; step++) giveTurn()
  }
  // Steps of the driver, before each of which the NIC takes some.
  let before = (): void => {}
  t.mock.method(Atomics, 'load', (words: Int32Array, at: number) => {
    before()
    return load(words, at)
  })
  t.mock.method(Atomics, 'store', (words: Int32Array, at: number, value: number) => {
    before()
    return store(words, at, value)
  })
  t.mock.method(Atomics, 'notify', (words: Int32Array, at: number) => {
    before()
    return notify(words, at)
  })
  t.mock.method(Atomics, 'waitAsync', (words: Int32Array, at: number, value: number) => {
    before()
    return waitAsync(words, at, value)
  })

  // The driver rests before the first completion.
  wait(turn, 0, RUNS)
  assert.equal(load(turn, 0), RESTS)
  let waits = 0
  for (const armed of [0, 1]) {
    for (const schedule of schedules(NIC_STEPS, PLACES)) {
      store(ring, ARMED, armed)
      giveTurn()
      const turns = schedule.values()
      before = () => allow(turns.next().value ?? 0)
      const seen = Atomics.load(ring, COMPLETED)
      const interrupt = armInterrupt(ring, ARMED, COMPLETED, seen)
      before = () => {}
      allow(NIC_STEPS)
      assert.equal(load(turn, 0), RESTS)
      if (interrupt === undefined) {
        assert.equal(load(ring, COMPLETED), seen + 1, `${armed}, ${schedule}: it has seen nothing`)
        continue
      }
      waits++
      // The next completion ends the wait, if this one has not.
      store(ring, COMPLETED, seen + 2)
      raiseInterrupt(ring, ARMED, COMPLETED)
      assert.equal(notify(ring, COMPLETED), 0, `${armed}, ${schedule}: it waits for ever`)
      await interrupt
    }
  }
  assert.ok(waits > 0)
})
