import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import tls from 'node:tls'
import type { Connection } from '../connection.ts'
import { createPool } from '../pool/create-pool.ts'
import type { HostFrag } from '../pool/frag.ts'
import { hostProvider } from '../providers/host.ts'
import { some } from '../testing/pools.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { type AdoptOptions, adopt } from './adopt.ts'
import {
  certificate,
  endAll,
  type Kind,
  listening,
  noTls,
  pattern,
  type Reads,
  receiveAll,
  rejection,
  same,
  send,
  serve,
  until,
} from './harness.test.helper.ts'
import { listen } from './listen.ts'

/** Two connected sockets of Node.js. The pool has nothing out in the end. */
async function withSockets(
  kind: Kind,
  reads: Reads,
  body: (ends: {
    readonly client: net.Socket
    readonly server: net.Socket
    readonly listener: net.Server
    readonly options: AdoptOptions
  }) => Promise<void>,
): Promise<void> {
  const pool = createPool(hostProvider({ pages: 16, pageSize: 65_536 }))
  const listener = serve(kind)
  const where = await listening(listener, kind)
  const target = { ...where, allowHalfOpen: true } as net.TcpNetConnectOpts
  const accepted = once(listener, kind === 'tls' ? 'secureConnection' : 'connection')
  const client =
    kind === 'tls' ? tls.connect({ ...target, ca: some(certificate).cert }) : net.connect(target)
  await once(client, kind === 'tls' ? 'secureConnect' : 'connect')
  const [server] = (await accepted) as [net.Socket]
  for (const socket of [client, server]) socket.on('error', () => {})
  try {
    await body({ client, server, listener, options: { pool, reads } })
  } finally {
    client.destroy()
    server.destroy()
    if (listener.listening) listener.close()
  }
  await endAll(pool)
}

const total = 1_000_000

for (const kind of ['tcp4', 'unix', 'tls'] as const) {
  for (const reads of ['posted', 'data'] as const) {
    for (const side of ['client', 'server'] as const) {
      const name = `${kind}, ${side}, ${reads}`
      const skip = kind === 'tls' && noTls

      test(`what a socket has buffered comes first, and its end last (${name})`, { skip }, () =>
        withSockets(kind, reads, async (ends) => {
          const [ours, theirs] = [ends[side], ends[side === 'client' ? 'server' : 'client']]
          // The socket reads into its own buffer, and no caller takes it.
          ours.pause()
          ours.read(0)
          theirs.end(pattern(100, 5000))
          const state = Reflect.get(ours, '_readableState') as { ended: boolean }
          await until(() => ours.readableLength === 5000 && state.ended, 'it has buffered all')
          const connection = adopt(ours, { ...ends.options, head: pattern(0, 100) })
          assert.equal(await receiveAll(connection), 5100)
          assert.equal(connection.state.kind, 'ended')
          await connection.write('still there')
          assert.equal(String((await once(theirs, 'data'))[0]), 'still there')
          await connection.close()
        }),
      )

      // `skip` is the reason that is printed: TLS on a machine without openssl.
      test(`an adopted socket continues as any connection (${name})`, { skip }, () =>
        withSockets(kind, reads, async (ends) => {
          const [ours, theirs] = [ends[side], ends[side === 'client' ? 'server' : 'client']]
          if (reads === 'posted') {
            // The connection has a socket of its own: the timer of this one is stopped.
            ours.setTimeout(50)
            ours.on('timeout', () => ours.destroy())
          }
          const connection = adopt(ours, ends.options)
          const sent = send(theirs, 0, total).then(() => theirs.end())
          assert.equal(await receiveAll(connection), total)
          await sent
          const echoed = once(theirs, 'end')
          theirs.resume()
          if (reads === 'posted') {
            // Timers of one length fire in the order in which they were set: the old socket's would be first.
            const later = new net.Socket().setTimeout(50)
            await once(later, 'timeout')
            later.destroy()
          }
          if (kind === 'tls') assert.match(some(connection.tls).cipher, /TLS|ECDHE/)
          if (reads === 'posted') await connection.write('x')
          await connection.close()
          await echoed
          ends.listener.close()
          await once(ends.listener, 'close')
        }),
      )
    }
  }
}

for (const reads of ['posted', 'data'] as const) {
  test(`a large head goes into pages, and is counted (${reads})`, () =>
    withSockets('tcp4', reads, async ({ client, server, options }) => {
      const head = pattern(0, 200_000)
      const connection = adopt(server, { ...options, head: new Uint8Array(head) })
      assert.ok(options.pool.out <= 4)
      client.end(pattern(200_000, 50_000))
      const held: HostFrag[] = []
      for await (const frag of connection) held.push(frag)
      let at = 0
      for (const frag of held) {
        same(frag.bytes, at)
        at += frag.length
        frag.release()
      }
      assert.equal(at, 250_000)
      await connection.close()
    }))

  test(`undelivered head goes back when the connection closes (${reads})`, () =>
    withSockets('tcp4', reads, async ({ server, options }) => {
      const connection = adopt(server, { ...options, head: new Uint8Array(200_000) })
      assert.ok(options.pool.out > 0)
      await connection.close()
      assert.equal(options.pool.out, 0)
    }))

  test(`an HTTP upgrade, its head and what is buffered (${reads})`, async () => {
    const pool = createPool(hostProvider({ pages: 8, pageSize: 65_536 }))
    const server = http.createServer()
    let connection: Connection | undefined
    server.on('upgrade', (_request, socket, head) => {
      // An upgrade may wait for something before it is taken over.
      void turns().then(() => {
        connection = adopt(socket, { pool, head, reads })
        void connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n')
      })
    })
    const { port } = await listening(server, 'tcp4')
    const client = net.connect({ port: some(port), host: '127.0.0.1' })
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n')
    client.write(pattern(0, 1000))
    const [answer] = (await once(client, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1.1 101/)
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    void send(client, 1000, total).then(() => client.end())
    assert.equal(await receiveAll(some(connection)), total)
    if (reads === 'posted') await closed
    await some(connection).close()
    await closed
    await endAll(pool)
  })

  test(`a client that wants many handshakes is no danger (${reads})`, { skip: noTls }, async () => {
    const pool = createPool(hostProvider({ pages: 8 }))
    const listener = await listen({ pool, port: 0, reads, tls: some(certificate) })
    const where = ['-connect', `127.0.0.1:${listener.address.port}`]
    const client = spawn('openssl', ['s_client', '-tls1_2', ...where], { stdio: 'pipe' })
    client.stdin.on('error', () => {})
    const connection = some(await listener.accept())
    await once(client.stdout, 'data')
    const received = receiveAll(connection, -1).catch((error: unknown) => error)
    // `R` on a line of its own asks for a handshake.
    const asking = setInterval(() => client.stdin.write('R\n'), 20)
    const result = await received
    clearInterval(asking)
    assert.ok(result instanceof Error && 'code' in result)
    assert.equal(result.code, 'NETMEM_TLS')
    client.kill()
    await connection.close()
    await listener.close()
    await endAll(pool)
  })
}

test('what cannot be adopted', () =>
  withSockets('tcp4', 'posted', async ({ client, server, options }) => {
    const code = async (socket: Duplex): Promise<string> =>
      rejection(Promise.resolve().then(() => adopt(socket, options)))
    assert.equal(await code(new Duplex()), 'NETMEM_INVALID_ARGUMENT')
    assert.equal(await code(undefined as unknown as Duplex), 'NETMEM_INVALID_ARGUMENT')
    assert.equal(await code(new net.Socket()), 'NETMEM_INVALID_ARGUMENT')
    const connecting = net.connect(1, '127.0.0.1').on('error', () => {})
    const message = /not connected yet. Adopt it after its 'connect' event/
    assert.throws(() => adopt(connecting, options), message)
    connecting.destroy()
    // This server accepts, and never speaks TLS.
    const plain = net.createServer().listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const address = plain.address()
    assert.ok(typeof address === 'object' && address !== null)
    const shaking = tls.connect(address.port, '127.0.0.1').on('error', () => {})
    await once(shaking, 'connect')
    assert.throws(() => adopt(shaking, options), message)
    shaking.destroy()
    plain.close()
    for (const what of [{ head: 'text' }, { head: new ArrayBuffer(4) }, { signal: {} }]) {
      const wrong = { ...options, ...what } as unknown as AdoptOptions
      const refused = rejection(Promise.resolve().then(() => adopt(client, wrong)))
      assert.equal(await refused, 'NETMEM_INVALID_ARGUMENT')
    }
    client.write(new Uint8Array(10_000_000))
    assert.equal(await code(client), 'NETMEM_PENDING_WRITES')
    server.resume()
    await once(client, 'drain')
    client.setEncoding('utf8')
    assert.equal(await code(client), 'NETMEM_INVALID_ARGUMENT')
    client.destroy()
    assert.equal(await code(client), 'NETMEM_CONNECTION_CLOSED')
    assert.ok(!server.destroyed, 'nothing was changed')
  }))

test('openssl is what these tests take it for', { skip: noTls }, () => {
  assert.match(spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout, /^OpenSSL/)
})
