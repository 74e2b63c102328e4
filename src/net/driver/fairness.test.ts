// Clients that stall, more of them than the pool has pages, do not stop the others.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import type { Connection } from '../../connection.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { hostProvider } from '../../providers/host.ts'
import { dialPlain, endAll, pattern, same, send, until } from '../harness.test.helper.ts'
import { listen } from '../listen.ts'
import { receiveBody } from '../receivers/receive-body.ts'

const pages = 16
const stalled = 20
const pageSize = 65_536

async function echo(connection: Connection): Promise<void> {
  for await (const frag of connection) {
    await connection.write(frag.bytes)
    frag.release()
  }
}

/** Sends `bytes` bytes and expects all of them back. */
async function expectEcho(socket: net.Socket, bytes: number): Promise<void> {
  let at = 0
  const back = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      same(chunk, at)
      at += chunk.byteLength
      if (at === bytes) resolve()
    })
  })
  await send(socket, 0, bytes)
  await back
}

for (const reads of ['posted', 'data'] as const) {
  for (const sends of [1_000_000, 1]) {
    test(`whose frags are held, of ${sends} bytes sent by each: another one is echoed (${reads})`, async () => {
      const pool = createPool(hostProvider({ pages, pageSize }))
      const listener = await listen({ pool, port: 0, reads })
      const held: HostFrag[] = []
      const keeping: Promise<unknown>[] = []
      const connections: Connection[] = []
      for (let client = 0; client < stalled; client++) {
        const [connection, socket] = await Promise.all([
          listener.accept(),
          dialPlain(listener, 'tcp4'),
        ])
        assert.ok(connection)
        connections.push(connection)
        const keep = async (): Promise<void> => {
          for await (const frag of connection) held.push(frag)
        }
        keeping.push(assert.rejects(keep()))
        socket.write(Buffer.alloc(sends, client))
      }
      if (sends > 1) await until(() => pool.available === 0, 'all pages are held')
      else await until(() => held.length === stalled, 'each has sent')
      const out = sends > 1 ? pages : 0
      assert.equal(pool.out, out)
      const [connection, socket] = await Promise.all([
        listener.accept(),
        dialPlain(listener, 'tcp4'),
      ])
      assert.ok(connection)
      const echoing = echo(connection)
      await expectEcho(socket, 3_000_000)
      assert.equal(pool.out, out, 'the others hold what they held')
      socket.end()
      await echoing
      for (const connection of connections) connection.destroy()
      await Promise.all(keeping)
      await Promise.all(connections.map(({ closed }) => closed))
      await connection.close()
      for (const frag of held) frag.release()
      await listener.close()
      await endAll(pool)
    })
  }
}

test('whose bodies stop after a byte: receiveBody holds nothing for them, and takes another', async () => {
  const pool = createPool(hostProvider({ pages, pageSize }))
  let begun = 0
  const server = http.createServer(async (request, response) => {
    let bytes = 0
    try {
      for await (const frag of receiveBody(request, pool)) {
        if (bytes === 0) begun++
        bytes += frag.length
        frag.release()
      }
      response.end(`${bytes}`)
    } catch {
      response.destroy()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const sockets = Array.from({ length: stalled }, () => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx')
    return socket
  })
  await until(() => begun === stalled, 'each has sent a byte')
  assert.equal(pool.out, 0)
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false })
  request.end(pattern(0, 500_000))
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const [text] = await once(response.setEncoding('utf8'), 'data')
  assert.equal(text, '500000')
  for (const socket of sockets) socket.destroy()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  await endAll(pool)
})

test('receiveBody continues with copies where others hold all pages', async () => {
  const pool = createPool(hostProvider({ pages: 1, pageSize }))
  const page = pool.alloc()
  assert.ok(page !== undefined)
  const server = http.createServer(async (request, response) => {
    let bytes = 0
    for await (const frag of receiveBody(request, pool)) {
      same(frag.bytes, bytes)
      bytes += frag.length
      frag.release()
    }
    response.end(`${bytes}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false })
  request.end(pattern(0, 500_000))
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const [text] = await once(response.setEncoding('utf8'), 'data')
  assert.equal(text, '500000')
  pool.put(page)
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  await endAll(pool)
})
