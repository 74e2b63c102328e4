// The other end of the wire: ordinary TCP in a network namespace of its own. It takes orders from the
// process that forked it, and answers each.
import { createHash } from 'node:crypto'
import net from 'node:net'
import { payload, shortHash } from './payload.mjs'

const orders = {
  /** Sends `bytes`, and resolves when the other end has closed. Retries until a listener is there. */
  async send({ host, port, bytes, localPort }) {
    for (;;) {
      const socket = net.connect({ host, port, localPort })
      const ended = new Promise((resolve) => {
        let error
        socket.on('error', (failure) => {
          error = failure.code
        })
        socket.on('close', () => resolve(error))
      })
      socket.resume().end(payload.subarray(0, bytes))
      const error = await ended
      if (error !== 'ECONNREFUSED') return error ?? 'closed'
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  },
  /** Sends without an end, until the other end is gone or `stop` is ordered. */
  async flood({ host, port }) {
    const socket = net.connect({ host, port })
    flooding.add(socket)
    socket.on('error', () => {}).on('close', () => flooding.delete(socket))
    const more = () => {
      while (!socket.destroyed && socket.write(payload));
    }
    socket.on('connect', more).on('drain', more)
    return 'floods'
  },
  async stop() {
    for (const socket of flooding) socket.destroy()
    return 'stopped'
  },
  /** Receives one connection, and resolves when it has ended in any way. */
  async take({ port }) {
    const server = net.createServer((socket) => {
      server.close()
      socket.resume().on('error', () => {})
    })
    const closed = new Promise((resolve) => server.on('close', resolve))
    server.listen(port, () => process.send({ id: `listening ${port}` }))
    await closed
    return 'over'
  },
  /** Receives one connection to its end. */
  async receive({ port }) {
    const hash = createHash('sha256')
    let bytes = 0
    const server = net.createServer((socket) => {
      server.close()
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        bytes += chunk.length
        hash.update(chunk)
      })
    })
    const closed = new Promise((resolve) => server.on('close', resolve))
    server.listen(port, () => process.send({ id: `listening ${port}` }))
    await closed
    return `${bytes} ${shortHash(hash)}`
  },
}
const flooding = new Set()

process.on('message', async ({ id, order, ...parts }) => {
  process.send({ id, answer: await orders[order](parts) })
})
process.on('disconnect', () => process.exit())
