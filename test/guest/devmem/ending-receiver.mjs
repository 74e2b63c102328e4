// A thread that binds, receives, and ends what it is told, one after the other: see ends.mjs.
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'

const { checkout, queue, port } = workerData
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const { bindRx, createUdmabuf, listenDevmem } = await import(`${checkout}/dist/linux/index.js`)
const told = async () => (await once(parentPort, 'message'))[0]

parentPort.postMessage('loaded')
const { ifindex } = await told()
const dmabuf = createUdmabuf({ bytes: 8 * 2 ** 20 })
const binding = await bindRx({ ifindex, queues: [queue], dmabuf })
const pool = createPool(hostProvider({ pages: 16 }))
const listener = await listenDevmem({ pool, binding, port })
parentPort.postMessage('listening')
const connection = await listener.accept()
const frags = []
while (frags.length < 8) frags.push(await connection.receive())
const ends = {
  binding: () => binding.close(),
  connection: () => void connection.close(),
  frags: () => frags.map((frag) => frag.release()),
}
parentPort.postMessage('receiving')
for (;;) {
  const name = await told()
  ends[name]()
  parentPort.postMessage(name)
}
