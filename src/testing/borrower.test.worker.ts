/** The other thread in tests of lending: receives frags and does with them what its job says. */

import { parentPort, workerData } from 'node:worker_threads'
import { isNetmemError } from '../errors.ts'
import { attachPool } from '../pool/attached-pool.ts'
import type { ReadableFrag } from '../pool/frag.ts'
import type { Lent, PoolShare } from '../pool/lent.ts'

/** Data that a worker is started with. */
export interface Job {
  readonly share: PoolShare
  /** `release` checks and gives back. `hold` keeps what it gets. `forget` ends at once, holding it. */
  readonly job: 'release' | 'hold' | 'forget'
}

/** Message to it: frags, and the 32-bit word each of them begins and ends with, or an order. */
export interface Delivery {
  readonly lent: readonly Lent[]
  readonly word: number
  /** Releases what it holds before anything else: that many of them, the oldest first. */
  readonly releaseFirst?: number
}

/** Answer to each delivery. */
export interface Receipt {
  readonly received: number
  readonly holds: number
  /** Codes of what was thrown, and `MIXED UP` for other contents than expected. */
  readonly errors: readonly string[]
}

const { share, job }: Job = workerData
const pool = attachPool(share)
const held: ReadableFrag[] = []

function receive(lent: Lent, word: number): void {
  const frag = pool.receive(lent)
  const { buffer, byteOffset, byteLength } = frag.bytes
  const view = new DataView(buffer, byteOffset, byteLength)
  if (view.getInt32(0) !== word || view.getInt32(byteLength - 4) !== word) {
    throw new Error('MIXED UP')
  }
  if (job === 'release') frag.release()
  else held.push(frag)
}

parentPort?.on('message', ({ lent, word, releaseFirst = 0 }: Delivery) => {
  const errors: string[] = []
  for (const frag of held.splice(0, releaseFirst)) frag.release()
  for (const one of lent) {
    try {
      receive(one, word)
    } catch (error) {
      errors.push(isNetmemError(error) ? error.code : String(error))
    }
  }
  if (job === 'forget') process.exit()
  const receipt: Receipt = { received: lent.length - errors.length, holds: held.length, errors }
  parentPort?.postMessage(receipt)
})
