// Binds a queue of its own, receives into it, and says so. It never ends: a test kills it, as a process
// with SIGKILL or as a worker with terminate().
import { parentPort, workerData } from 'node:worker_threads'

const { checkout, ifindex, queue, port } = workerData ?? JSON.parse(process.argv[2])
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const { bindRx, createUdmabuf, listenDevmem } = await import(`${checkout}/dist/linux/index.js`)
const say = (word) =>
  (parentPort ?? { postMessage: (text) => process.send(text) }).postMessage(word)

const dmabuf = createUdmabuf({ bytes: 8 * 2 ** 20 })
const binding = await bindRx({ ifindex, queues: [queue], dmabuf })
const pool = createPool(hostProvider({ pages: 16 }))
const listener = await listenDevmem({ pool, binding, port })
say({ kind: 'bound', id: binding.id })
const connection = await listener.accept()
const held = []
let bytes = 0
let told = false
for await (const frag of connection) {
  bytes += frag.length
  held.push(frag)
  // Some frags are always held, as a GPU would hold them.
  if (held.length > 64) held.shift().release()
  if (bytes < 2 ** 20 || told) continue
  told = true
  say({ kind: 'receiving', device: connection.stats().device_bytes })
}
