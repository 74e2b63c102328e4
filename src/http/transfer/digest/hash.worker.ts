/** The hash thread's script: one job at a time. Orders say where the next bytes are. */

import { createHash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

/** A message to the thread. It answers the end with the digest. */
export type HashOrder =
  | { readonly kind: 'begin'; readonly memory: SharedArrayBuffer }
  | {
      readonly kind: 'hash'
      readonly from: number
      readonly to: number
      /** True if the thread has to say that the bytes have been hashed. */
      readonly isAnswered: boolean
    }
  | { readonly kind: 'end' }

let hash = createHash('sha256')
let memory = new SharedArrayBuffer(0)

parentPort?.on('message', (order: HashOrder) => {
  if (order.kind === 'begin') {
    memory = order.memory
    hash = createHash('sha256')
  } else if (order.kind === 'hash') {
    hash.update(new Uint8Array(memory, order.from, order.to - order.from))
    if (order.isAnswered) parentPort?.postMessage('')
  } else {
    parentPort?.postMessage(hash.digest('hex'))
  }
})
