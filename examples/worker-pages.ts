/**
 * A worker thread processes pages of the main thread's sockets. The pages are lent to it, not
 * copied. The worker gives them back without a message, and the main thread reads on.
 *
 *   node build/examples/worker-pages.js [PORT]
 */

import { createHash } from 'node:crypto'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { attachPool, createPool, type Lent, sharedProvider } from 'netmem'
import { listen } from 'netmem/net'

if (isMainThread) await receive()
else hash()

/** Runs in the main thread, which owns the sockets and the pool and looks at no byte. */
async function receive(): Promise<void> {
  const pool = createPool(sharedProvider({ pages: 32 }))
  const worker = new Worker(new URL(import.meta.url), { workerData: pool.share() })
  worker.on('message', (digest: string) => console.log(`sha256 ${digest}`))
  await using listener = await listen({ pool, port: Number(process.argv[2] ?? 7002) })
  console.log(`listening on port ${listener.address.port}`)
  for await (const connection of listener) {
    try {
      for await (const frag of connection) {
        const lent = frag.lend(worker)
        if (lent === undefined) throw new Error('more frags lent than the pool was shared for')
        worker.postMessage(lent)
      }
      await connection.close()
    } catch (error) {
      console.error(error)
      connection.destroy()
    }
    worker.postMessage('end')
  }
}

/** Runs in the worker, which reads the bytes where the socket put them. */
function hash(): void {
  const pool = attachPool(workerData)
  let sha256 = createHash('sha256')
  parentPort?.on('message', (message: Lent | 'end') => {
    if (message === 'end') {
      parentPort?.postMessage(sha256.digest('hex'))
      sha256 = createHash('sha256')
      return
    }
    const frag = pool.receive(message)
    sha256.update(frag.bytes)
    frag.release()
  })
}
