// A process of the user nobody that takes dma-buf and binding from one of root's, and receives into it.
import { readFileSync } from 'node:fs'
import { hashReceived } from './payload.mjs'
import { codeOf } from './waiting.mjs'

const { checkout, path, host, port } = JSON.parse(process.argv[2])
const { createPool, hostProvider } = await import(`${checkout}/dist/index.js`)
const linux = await import(`${checkout}/dist/linux/index.js`)
const { bindRx, listenDevmem, prepareQueues, receiveDmaBuf } = linux

const { dmabuf, binding } = await receiveDmaBuf(path)
const { ifindex } = binding
const bind = await codeOf(bindRx({ ifindex, queues: [1], dmabuf }))
const prepare = await codeOf(prepareQueues({ ifindex, queues: [1] }))
const memory = dmabuf.map().bytes
const pool = createPool(hostProvider({ pages: 16 }))
const listener = await listenDevmem({ pool, binding, host, port, strict: true })
process.send('listening')
const connection = await listener.accept()
const hash = await hashReceived(connection, memory)
const { device_bytes, linear_bytes } = connection.stats()
const rights = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
process.send({ binding, bind, prepare, rights, hash, device_bytes, linear_bytes })
await connection.close()
await listener.close()
dmabuf.close()
process.disconnect()
