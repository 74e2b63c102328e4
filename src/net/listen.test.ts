import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import net from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import type { Connection } from '../connection.ts'
import { createPool } from '../pool/create-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { some } from '../testing/pools.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { connect } from './connect.ts'
import {
  certificate,
  dialPlain,
  endAll,
  endsWhenEnded,
  freshPath,
  noTls,
  type Place,
  pattern,
  receiveAll,
  rejection,
  until,
  whereToListen,
} from './harness.test.helper.ts'
import { Listener, type ListenOptions, listen } from './listen.ts'

/** A listener and its pool. In the end both are closed, with nothing out. */
async function withListener(
  options: Place & Partial<Omit<ListenOptions, keyof Place>>,
  body: (listener: Listener, options: ListenOptions) => Promise<void>,
): Promise<void> {
  const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
  const all = { pool, ...options }
  const listener = await listen(all)
  try {
    await body(listener, all)
  } finally {
    await listener.close()
  }
  await endAll(pool)
}

const pool = createPool(hostProvider({ pages: 1 }))
const refused: readonly [string, object, string][] = [
  ['nothing', {}, 'NETMEM_INVALID_ARGUMENT'],
  ['both', { port: 1, path: '/a' }, 'NETMEM_INVALID_ARGUMENT'],
  ['a large port', { port: 65_536 }, 'NETMEM_OUT_OF_RANGE'],
  ['a negative port', { port: -1 }, 'NETMEM_OUT_OF_RANGE'],
  ['no backlog', { port: 0, backlog: 0 }, 'NETMEM_OUT_OF_RANGE'],
  ['no pool', { port: 0, pool: undefined }, 'NETMEM_INVALID_ARGUMENT'],
  ['an invalid signal', { port: 0, signal: {} }, 'NETMEM_INVALID_ARGUMENT'],
  ['a host that is no text', { port: 0, host: 5 }, 'NETMEM_INVALID_ARGUMENT'],
  ['a path that is no text', { path: 5 }, 'NETMEM_INVALID_ARGUMENT'],
  // Node.js would cut it off and listen somewhere else.
  ['a path that does not fit', { path: `/tmp/${'x'.repeat(103)}` }, 'NETMEM_OUT_OF_RANGE'],
  // The error comes here, not when a peer connects.
  ['a negative idle timeout', { port: 0, idleTimeoutMs: -1 }, 'NETMEM_OUT_OF_RANGE'],
  ['a tiny buffer', { port: 0, smallBufferBytes: 1 }, 'NETMEM_OUT_OF_RANGE'],
  ['an aborted signal', { port: 0, signal: AbortSignal.abort() }, 'NETMEM_ABORTED'],
  ['a path that leads nowhere', { path: '/nowhere/at/all' }, 'NETMEM_LISTEN_FAILED'],
  ['an address of others', { port: 0, host: '240.0.0.1' }, 'NETMEM_LISTEN_FAILED'],
  ['TLS without a certificate', { port: 0, tls: {} }, 'NETMEM_INVALID_ARGUMENT'],
  ['an invalid certificate', { port: 0, tls: { cert: 'x', key: 'y' } }, 'NETMEM_TLS'],
]
for (const [what, options, code] of refused) {
  test(`listen() refuses ${what}`, async () => {
    const given = { pool, ...options } as ListenOptions
    assert.equal(await rejection(listen(given)), code)
  })
}

test('a port that is taken, and a path', async () => {
  for (const kind of ['tcp4', 'unix'] as const) {
    await withListener(whereToListen(kind), async (listener) => {
      const { host, port } = listener.address
      const again = listen(kind === 'unix' ? { pool, path: host } : { pool, port })
      const code = { code: 'NETMEM_LISTEN_FAILED', message: /Choose another/ }
      await assert.rejects(again, code)
    })
  }
})

test('connections wait to be accepted, with what they have sent', async () => {
  await withListener(whereToListen('tcp4'), async (listener) => {
    const peers = []
    for (let at = 0; at < 3; at++) {
      const peer = await dialPlain(listener, 'tcp4')
      peer.end(pattern(at, 100_000))
      await once(peer, 'finish')
      peers.push(peer)
    }
    for (let at = 0; at < 3; at++) {
      const connection = some(await listener.accept())
      assert.equal(await receiveAll(connection, at), at + 100_000)
      await connection.close()
    }
    for (const peer of peers) peer.destroy()
  })
})

for (const kind of ['tcp4', 'unix', 'tls'] as const) {
  test(
    `closing: who waits, who was not accepted, who was (${kind})`,
    {
      skip: kind === 'tls' && noTls,
    },
    () =>
      withListener(whereToListen(kind), async (listener) => {
        const peers = await Promise.all([dialPlain(listener, kind), dialPlain(listener, kind)])
        const [first, second] = peers
        const connection = some(await listener.accept())
        await turns()
        await Promise.all([listener.close(), listener.close()])
        assert.equal(await listener.accept(), undefined)
        for await (const _ of listener) assert.fail('no connection is accepted any more')
        // The accepted connection continues.
        const told = peers.map((peer) => peer.write(pattern(0, 1000)) && peer.end())
        assert.equal(told.length, 2)
        assert.equal(await receiveAll(connection), 1000)
        await connection.close()
        for (const peer of [first, second]) endsWhenEnded(peer)
        await until(() => peers.every(({ destroyed }) => destroyed), 'both are closed')
        assert.ok(!existsSync(listener.address.host), 'the path is gone')
      }),
  )
}

test('those who wait for a connection get them in turn, or hear that there will be none', () =>
  withListener(whereToListen('tcp4'), async (listener) => {
    const accepts = [listener.accept(), listener.accept(), listener.accept()]
    const peer = await dialPlain(listener, 'tcp4')
    const connection = some(await accepts[0])
    assert.equal(connection.remoteAddress.port, peer.localPort)
    await listener.close()
    assert.deepEqual(await Promise.all(accepts.slice(1)), [undefined, undefined])
    await connection.close()
    peer.destroy()
  }))

test('the signal closes the listener and every connection, and is let go of', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  await withListener({ ...whereToListen('tcp4'), signal }, async (listener) => {
    const peers: net.Socket[] = []
    const connections: Connection[] = []
    for (let at = 0; at < 20; at++) {
      peers.push(await dialPlain(listener, 'tcp4'))
      if (at < 15) connections.push(some(await listener.accept()))
    }
    const waiting = connections.map((connection) => rejection(connection.receive()))
    controller.abort()
    for (const code of await Promise.all(waiting)) assert.equal(code, 'NETMEM_ABORTED')
    assert.equal(await listener.accept(), undefined)
    for (const peer of peers) endsWhenEnded(peer)
    await until(() => peers.every(({ destroyed }) => destroyed), 'all are closed')
  })
  await turns()
  process.off('warning', warned)
  assert.deepEqual(warnings, [])
})

test('a pool that is destroyed while its listener listens', () =>
  withListener(whereToListen('tcp4'), async (listener, { pool }) => {
    await pool.destroy()
    const waiting = rejection(listener.accept())
    const peer = await dialPlain(listener, 'tcp4')
    assert.equal(await waiting, 'NETMEM_POOL_DESTROYED')
    assert.equal(await rejection(listener.accept()), 'NETMEM_POOL_DESTROYED')
    endsWhenEnded(peer)
    await until(() => peer.destroyed, 'the peer is told')
  }))

test('TLS over a Unix domain socket', { skip: noTls }, async () => {
  for (const reads of ['posted', 'data'] as const) {
    const secure = { path: freshPath(), tls: some(certificate), reads }
    await withListener(secure, async (listener, { pool }) => {
      const ca = some(certificate).cert
      const connecting = connect({ pool, path: secure.path, tls: { ca }, reads })
      const [accepted, connected] = await Promise.all([listener.accept(), connecting])
      void connected.write(pattern(0, 300_000))
      const closed = connected.close()
      assert.equal(await receiveAll(some(accepted)), 300_000)
      await Promise.all([closed, some(accepted).close()])
      assert.match(some(connected.tls).cipher, /^TLS_/)
    })
  }
})

test('clients that do not speak TLS, or leave within the handshake', { skip: noTls }, () =>
  withListener(whereToListen('tls'), async (listener) => {
    const { host, port } = listener.address
    const odd: ((socket: net.Socket) => unknown)[] = [
      (socket) => socket.write('GET / HTTP/1.1\r\n\r\n'),
      (socket) => socket.end(),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.write(Buffer.from('160301', 'hex'), () => socket.destroy()),
    ]
    for (const act of odd) {
      const socket = net.connect(port, host).on('error', () => {})
      await once(socket, 'connect')
      act(socket.resume())
      if (act !== odd[1]) await until(() => socket.destroyed, 'it is closed')
      socket.destroy()
    }
    const distrusting = tls.connect({ host, port }).on('error', () => {})
    await until(() => distrusting.destroyed, 'it does not trust this side')
    const leaving = net.connect(port, host)
    await once(leaving, 'connect')
    leaving.end(Buffer.from('160301', 'hex'))
    await until(() => leaving.resume().destroyed, 'who leaves in the handshake is not kept')
    // A good one is accepted all the same, and it is the first.
    const peer = await dialPlain(listener, 'tls')
    peer.end(pattern(0, 1000))
    const connection = some(await listener.accept())
    // The one that did not trust this side may have been taken for a client at first.
    const received = await receiveAll(connection).catch(() => 0)
    if (received === 0) {
      const next = some(await listener.accept())
      assert.equal(await receiveAll(next), 1000)
      await next.close()
    }
    await connection.close()
    peer.destroy()
  }),
)

test('too many open files cost connections, not the process', { skip: noUlimit() }, async () => {
  const program = `
    import { createPool, hostProvider } from '${new URL('../index.js', import.meta.url)}'
    import { listen } from '${new URL('index.js', import.meta.url)}'
    const pool = createPool(hostProvider({ pages: 2 }))
    const listener = await listen({ pool, port: 0 })
    process.send(listener.address.port)
    process.once('disconnect', () => process.exit())
    for await (const connection of listener) {
      void (async () => {
        const frag = await connection.receive()
        frag?.release()
        await connection.write('here')
        await connection.close()
      })()
    }
  `
  const limited = `ulimit -n 64; exec "$0" --input-type=module -e "$1"`
  const child = spawn('bash', ['-c', limited, process.execPath, program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [port] = (await once(child, 'message')) as [number]
  const peers = Array.from({ length: 100 }, () =>
    net
      .connect(port, '127.0.0.1')
      .on('error', () => {})
      .resume(),
  )
  await until(() => peers.some(({ closed }) => closed), 'some are turned away')
  for (const peer of peers) peer.destroy()
  // The listener still listens.
  let answer = ''
  while (answer !== 'here') {
    const peer = net.connect(port, '127.0.0.1').on('error', () => {})
    peer.on('data', (chunk) => {
      answer += chunk
    })
    peer.end('x')
    await until(() => peer.closed, 'it is answered or turned away')
  }
  child.disconnect()
  await once(child, 'exit')
})

test('an error of accepting is a warning, once', async () => {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const listener = new Listener(server, { pool, port: 0 })
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  const error = Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' })
  for (let times = 0; times < 3; times++) server.emit('error', error)
  await until(() => warnings.length > 0, 'there is a warning')
  await turns()
  process.off('warning', warned)
  assert.equal(warnings.length, 1)
  assert.match(some(warnings[0]).message, /ulimit/)
  await listener.close()
})

function noUlimit(): string | false {
  return process.platform !== 'linux' && 'needs a limit of open files, as Linux has it'
}

test('the pool of these tests', () => endAll(pool))
test('a fresh path is free', () => assert.ok(!existsSync(freshPath())))
test('there is a certificate', { skip: noTls }, () => assert.ok(certificate))
