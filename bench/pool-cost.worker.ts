/** The thread that `pool-cost.child.ts` lends to. */

import { parentPort, workerData } from 'node:worker_threads'
import { attach, type Lent, type PoolShare } from 'netmem'

const share: PoolShare = workerData
const pool = attach(share)

parentPort?.on('message', (batch: readonly Lent[]) => {
  const start = process.hrtime.bigint()
  for (const lent of batch) pool.receive(lent).release()
  parentPort?.postMessage(Number(process.hrtime.bigint() - start))
})
