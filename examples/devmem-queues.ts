// One thread for each RX queue: each has memory of its own, bound to its queue, a rule of its own, and a
// port of its own. Queues that are not named serve everything else.
//
//   node build/examples/devmem-queues.js IFINDEX CONNECTIONS QUEUE…      as root, on a card that does devmem TCP
//
// Ports 5201, 5202 and so on belong to the queues in their order. Each thread ends after CONNECTIONS.
import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { createPool, hostProvider } from 'netmem'
import {
  bindRx,
  createUdmabuf,
  type DevmemConnection,
  listenDevmem,
  prepareQueues,
} from 'netmem/linux'

interface Share {
  readonly ifindex: number
  readonly queue: number
  readonly port: number
  readonly connections: number
}

if (isMainThread) await startThreads(...process.argv.slice(2).map(Number))
else await serve(workerData)

async function startThreads(ifindex = 0, connections = 1, ...queues: number[]): Promise<void> {
  const shares = queues.map(
    (queue, at): Share => ({ ifindex, queue, port: 5201 + at, connections }),
  )
  const flows = shares.map(({ queue, port }) => ({
    type: 'tcp4' as const,
    destinationPort: port,
    queue,
  }))
  await using _prepared = await prepareQueues({ ifindex, queues, flows })
  const script = new URL(import.meta.url)
  const threads = shares.map((share) => new Worker(script, { workerData: share }))
  await Promise.all(threads.map((thread) => once(thread, 'exit')))
}

async function serve({ ifindex, queue, port, connections }: Share): Promise<void> {
  using dmabuf = createUdmabuf({ bytes: 8 * 2 ** 20 })
  using binding = await bindRx({ ifindex, queues: [queue], dmabuf })
  const pool = createPool(hostProvider({ pages: 16 }))
  await using listener = await listenDevmem({ pool, binding, port })
  const served: Promise<void>[] = []
  for await (const connection of listener) {
    served.push(receive(connection, queue))
    if (served.length === connections) break
  }
  await Promise.all(served)
  await pool.destroy()
}

async function receive(connection: DevmemConnection, queue: number): Promise<void> {
  // A GPU would take binding, offset and length of each frag, and release it when it is done.
  for await (const frag of connection) frag.release()
  const { device_bytes, linear_bytes } = connection.stats()
  console.log(`queue ${queue}: ${device_bytes} bytes, ${linear_bytes} in pages`)
  await connection.close()
}
