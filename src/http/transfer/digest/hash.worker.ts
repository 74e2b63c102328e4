/** The hash thread's script: one job at a time. Messages say where the next bytes are. */

import { createHash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

/** A message to the thread: new memory begins a job, and `to` 0 asks for the digest. */
export interface HashOrder {
  readonly memory?: SharedArrayBuffer
  /** True if the thread need not acknowledge that bytes have been hashed. */
  readonly silent?: boolean
  readonly from: number
  readonly to: number
}

let hash = createHash('sha256')
let memory = new SharedArrayBuffer(0)
let silent = false

parentPort?.on('message', (order: HashOrder) => {
  if (order.memory !== undefined) {
    memory = order.memory
    silent = order.silent === true
    hash = createHash('sha256')
  } else if (order.to === 0) {
    parentPort?.postMessage(hash.digest('hex'))
  } else {
    hash.update(new Uint8Array(memory, order.from, order.to - order.from))
    if (!silent) parentPort?.postMessage(0)
  }
})
