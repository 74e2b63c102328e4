/** A NIC in another thread that takes each step on the ring's words only when it is let. */

import { workerData } from 'node:worker_threads'
import { raiseInterrupt } from './interrupts.ts'

/** Memory of the ring's words, and of the word by which the test and the NIC take turns. */
export interface SteppedNic {
  readonly ring: SharedArrayBuffer
  readonly turn: SharedArrayBuffer
}

// Words of the ring.
export const ARMED = 0
export const COMPLETED = 1
// Values of the word for turns.
/** The NIC takes a step, or begins the next completion. */
export const RUNS = 0
/** The NIC waits before a step. */
export const ASKS = 1
/** The NIC has signalled a completion. */
export const RESTS = 2

const job: SteppedNic | null = workerData
if (job !== null) run(new Int32Array(job.ring), new Int32Array(job.turn))

function run(ring: Int32Array, turn: Int32Array): void {
  const { load, store, notify, wait } = Atomics
  const hand = (state: number): void => {
    store(turn, 0, state)
    notify(turn, 0)
    wait(turn, 0, state)
  }
  const afterTurn = <T>(step: () => T): T => {
    hand(ASKS)
    return step()
  }
  Object.assign(Atomics, {
    load: (words: Int32Array, at: number) => afterTurn(() => load(words, at)),
    store: (words: Int32Array, at: number, value: number) =>
      afterTurn(() => store(words, at, value)),
    notify: (words: Int32Array, at: number) => afterTurn(() => notify(words, at)),
  })
  for (;;) {
    hand(RESTS)
    Atomics.store(ring, COMPLETED, load(ring, COMPLETED) + 1)
    raiseInterrupt(ring, ARMED, COMPLETED)
  }
}
