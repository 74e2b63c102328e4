/** The thread that `pool-cost.child.ts` lends to. */

import { parentPort, workerData } from 'node:worker_threads'
import { attachPool, type Lent, type PoolShare, type ReadableFrag } from 'netmem'

const share: PoolShare = workerData
const pool = attachPool(share)

/** Nanoseconds that a batch took. */
export interface BorrowerTimes {
  readonly receive: number
  readonly release: number
}

parentPort?.on('message', (batch: readonly Lent[]) => {
  const frags: ReadableFrag[] = []
  const start = process.hrtime.bigint()
  for (const lent of batch) frags.push(pool.receive(lent))
  const received = process.hrtime.bigint()
  for (const frag of frags) frag.release()
  const released = process.hrtime.bigint()
  const times: BorrowerTimes = {
    receive: Number(received - start),
    release: Number(released - received),
  }
  parentPort?.postMessage(times)
})
