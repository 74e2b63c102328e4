// Surroundings of a documented example: the names that it takes for granted, and a peer.
// The process ends well a moment after everything was set up, badly when anything throws.
// It loads what the example needs and no more.
import { isMainThread, parentPort, Worker } from 'node:worker_threads'

const code = process.env.EXAMPLE ?? ''
// Free ports in place of 5201 and 5202.
const [rawPort, originPort] = (process.env.PORTS ?? '').split(',').map(Number)
// 8 bytes that say 4096, and as many bytes: an example that reads a length finds one.
const stream = Buffer.alloc(8 + 4096)
stream.writeBigUInt64BE(4096n)
const plenty = Buffer.alloc(1 << 20)

// A machine without dma-bufs, without a card for them, or without an offer of one, refuses with these
// codes.
const LACKING =
  /^NETMEM_(UDMABUF_UNAVAILABLE|DMA_HEAP_UNAVAILABLE|NOT_A_DMABUF|DMABUF_NOT_OFFERED|DEVMEM_\w+)$/
if (code.includes("from 'netmem/linux'")) {
  process.on('uncaughtException', (error) => {
    if (LACKING.test(error.code)) process.exit(0)
    throw error
  })
}

// Loaded before its moment begins, however long that takes.
for (const [, name] of code.matchAll(/from '(netmem[^']*)'/g)) await import(name)

if (/\b(pool|connection|workerData)\b/.test(code)) {
  const { createPool, sharedProvider } = await import('netmem')
  globalThis.pool = createPool(sharedProvider({ pages: 64 }))
}

if (!isMainThread) {
  // A worker of an example: nothing more to prepare.
} else if (/workerData/.test(code)) {
  const { createFrag } = await import('netmem')
  const share = pool.share()
  const worker = new Worker(process.argv[1], { workerData: share })
  const lent = createFrag(pool, pool.alloc()).lend(worker)
  worker.postMessage(lent)
  worker.on('error', (error) => {
    throw error
  })
  while (pool.available !== pool.capacity) await new Promise((resolve) => setTimeout(resolve, 1))
  process.exit(0)
} else if (/\bgetInto\(/.test(code)) {
  // The origin is on this machine, so no proxy.
  process.env.no_proxy = '*'
  const http = await import('node:http')
  const origin = http.createServer((_request, response) => response.end(plenty))
  await new Promise((resolve) => origin.listen(originPort, '127.0.0.1', resolve))
} else if (/\blisten\(/.test(code)) {
  connectOnceItListens(await import('node:net'))
} else if (/\bconnect\(/.test(code)) {
  await listenOn(rawPort, (socket) => socket.end(plenty))
} else if (/\bserver\.on\('upgrade'/.test(code)) {
  const http = await import('node:http')
  globalThis.server = http.createServer()
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    const headers = { Connection: 'Upgrade', Upgrade: 'raw' }
    http
      .request({ port, headers })
      .on('upgrade', (_answer, socket) => socket.end(stream))
      .end()
  })
} else if (/\bconnection\b/.test(code)) {
  const { connect } = await import('netmem/net')
  const port = await listenOn(0, (socket) => socket.end(stream))
  globalThis.connection = await connect({ pool, host: '127.0.0.1', port })
}
if (parentPort === null) setTimeout(() => process.exit(0), 500)

function connectOnceItListens(net) {
  net
    .connect(rawPort, '127.0.0.1')
    .on('error', () => setTimeout(() => connectOnceItListens(net), 5))
    .end(plenty)
}

async function listenOn(port, serve) {
  const net = await import('node:net')
  return new Promise((resolve) => {
    const peer = net.createServer(serve)
    peer.listen(port, '127.0.0.1', () => resolve(peer.address().port))
  })
}
