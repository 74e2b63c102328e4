import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { createPool, dualPool } from '../pool/create-pool.ts'
import { hostProvider } from '../providers/host.ts'
import { codeOf, some } from '../testing/pools.test.helper.ts'
import { testDeviceProvider } from '../testing/test-device-provider.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { type ConnectOptions, connect } from './connect.ts'
import {
  certificate,
  endAll,
  freshPath,
  listening,
  noTls,
  pattern,
  receiveAll,
  rejection,
  serve,
  until,
} from './harness.test.helper.ts'

/** A server that runs `onSocket`, and a function that connects to it. The pool has nothing out in the end. */
async function withServer(
  onSocket: (socket: net.Socket) => void,
  body: (options: ConnectOptions, sockets: net.Socket[]) => Promise<void>,
): Promise<void> {
  const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
  const sockets: net.Socket[] = []
  const server = net.createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
    onSocket(socket)
  })
  const where = await listening(server, 'tcp4')
  try {
    await body({ pool, ...where }, sockets)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  await endAll(pool)
}

const pool = createPool(hostProvider({ pages: 1 }))
const refused: readonly [string, object, string][] = [
  ['nothing', {}, 'NETMEM_INVALID_ARGUMENT'],
  ['both', { port: 1, path: '/a' }, 'NETMEM_INVALID_ARGUMENT'],
  ['port 0', { port: 0 }, 'NETMEM_OUT_OF_RANGE'],
  ['a large port', { port: 65_536 }, 'NETMEM_OUT_OF_RANGE'],
  ['a port that is text', { port: '80' }, 'NETMEM_INVALID_ARGUMENT'],
  ['a timeout of 0', { port: 1, connectTimeoutMs: 0 }, 'NETMEM_OUT_OF_RANGE'],
  ['a long timeout', { port: 1, connectTimeoutMs: 2 ** 31 }, 'NETMEM_OUT_OF_RANGE'],
  ['a negative idle timeout', { port: 1, idleTimeoutMs: -1 }, 'NETMEM_OUT_OF_RANGE'],
  ['a tiny buffer', { port: 1, smallBufferBytes: 2047 }, 'NETMEM_OUT_OF_RANGE'],
  ['a large buffer', { port: 1, smallBufferBytes: 16_385 }, 'NETMEM_OUT_OF_RANGE'],
  ['an invalid keep-alive', { port: 1, keepAliveMs: Number.NaN }, 'NETMEM_OUT_OF_RANGE'],
  ['no pool', { port: 1, pool: undefined }, 'NETMEM_INVALID_ARGUMENT'],
  ['an invalid signal', { port: 1, signal: {} }, 'NETMEM_INVALID_ARGUMENT'],
  ['a host that is no text', { port: 1, host: 5 }, 'NETMEM_INVALID_ARGUMENT'],
  // Node.js would take it for no path, and try port undefined of this machine.
  ['an empty path', { path: '' }, 'NETMEM_INVALID_ARGUMENT'],
  ['a path that does not fit', { path: `/${'é'.repeat(54)}` }, 'NETMEM_OUT_OF_RANGE'],
  ['another way of reading', { port: 1, reads: 'fast' }, 'NETMEM_INVALID_ARGUMENT'],
  ['an aborted signal', { port: 1, signal: AbortSignal.abort() }, 'NETMEM_ABORTED'],
]
for (const [what, options, code] of refused) {
  test(`connect() refuses ${what}`, async () => {
    const given = { pool, ...options } as ConnectOptions
    assert.equal(await rejection(connect(given)), code)
  })
}

test('no options at all', async () => {
  for (const options of [undefined, null, 5201]) {
    const none = options as unknown as ConnectOptions
    assert.equal(await rejection(connect(none)), 'NETMEM_INVALID_ARGUMENT')
  }
})

test('a pool of device memory is refused, one that turned out to be pages is not', async () => {
  const device = dualPool(testDeviceProvider({ netIovs: 1, pageSize: 4096 }))
  const wrong = { port: 1, pool: device as unknown as typeof pool }
  assert.equal(await rejection(connect(wrong)), 'NETMEM_WRONG_KIND')
  await device.destroy()
  const gone = createPool(hostProvider({ pages: 1 }))
  await gone.destroy()
  assert.equal(await rejection(connect({ port: 1, pool: gone })), 'NETMEM_POOL_DESTROYED')
})

test('connecting to a port without a listener', async () => {
  // A port that was free a moment ago may be another test's now.
  for (const host of ['127.0.0.1', 'localhost']) {
    const failed = connect({ pool, host, port: 1 })
    await assert.rejects(failed, { code: 'NETMEM_CONNECT_FAILED', message: /Start the server/ })
  }
  const path = freshPath()
  await assert.rejects(connect({ pool, path }), {
    code: 'NETMEM_CONNECT_FAILED',
    message: /path does not exist/,
  })
})

test('a server that does not accept', async () => {
  // The child is stopped with a queue of one, so that the kernel drops further connection requests.
  const program = `require('net').createServer()
    .listen({ host: '127.0.0.1', port: 0, backlog: 1 }, function () { process.send(this.address().port) })`
  const child = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [port] = (await once(child, 'message')) as [number]
  child.kill('SIGSTOP')
  const filling = Array.from({ length: 8 }, () =>
    net.connect(port, '127.0.0.1').on('error', () => {}),
  )
  const code = await rejection(connect({ pool, host: '127.0.0.1', port, connectTimeoutMs: 50 }))
  assert.equal(code, 'NETMEM_TIMEOUT')
  for (const socket of filling) socket.destroy()
  child.kill('SIGKILL')
  await once(child, 'exit')
})

for (const reads of ['posted', 'data'] as const) {
  test(`a TLS server that says nothing: timeout and signal (${reads})`, () =>
    withServer(
      () => {},
      async (options, sockets) => {
        const secure = { ...options, reads, tls: { rejectUnauthorized: false } }
        const timedOut = connect({ ...secure, connectTimeoutMs: 30 })
        assert.equal(await rejection(timedOut), 'NETMEM_TIMEOUT')
        const controller = new AbortController()
        const aborted = rejection(connect({ ...secure, signal: controller.signal }))
        await until(() => sockets.length === 2, 'the server has accepted')
        controller.abort()
        assert.equal(await aborted, 'NETMEM_ABORTED')
        // Both sockets are closed, read to their end or not.
        for (const socket of sockets) socket.resume()
        await until(() => sockets.every(({ destroyed }) => destroyed), 'both are closed')
      },
    ))

  test(`a signal while connecting (${reads})`, () =>
    withServer(
      () => {},
      async (options) => {
        const controller = new AbortController()
        const aborted = rejection(connect({ ...options, reads, signal: controller.signal }))
        controller.abort()
        assert.equal(await aborted, 'NETMEM_ABORTED')
      },
    ))

  test(`an invalid TLS handshake (${reads})`, async () => {
    const answers: ((socket: net.Socket) => void)[] = [
      (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      (socket) => socket.destroy(),
      (socket) => socket.end(),
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
    ]
    for (const answer of answers) {
      await withServer(answer, async (options) => {
        const code = await rejection(connect({ ...options, reads, tls: true }))
        assert.ok(['NETMEM_TLS', 'NETMEM_CONNECT_FAILED'].includes(code), code)
      })
    }
    // The message leaves out OpenSSL's own, with its numbers of a thread and of a source line.
    await withServer(some(answers[0]), async ({ host, ...options }) => {
      const failed = connect({ ...options, host: some(host), reads, tls: true })
      const message =
        /^TLS with \S+ failed: [a-z ]+\. The server does not seem to speak TLS\.[^\n]*\.$/
      await assert.rejects(failed, { code: 'NETMEM_TLS', message })
    })
  })

  test(`certificates that are not good enough (${reads})`, { skip: noTls }, async () => {
    const server = serve('tls', (socket) => {
      socket
        .on('error', () => {})
        .resume()
        .on('end', () => socket.end())
    })
    const where = await listening(server, 'tls')
    const ca = some(certificate).cert
    for (const tls of [
      true,
      { ca, servername: 'example.org' },
      { ca: 'not a certificate' },
    ] as const) {
      const failed = connect({ pool, ...where, reads, tls })
      await assert.rejects(failed, { code: 'NETMEM_TLS', message: /certificates, names/ })
    }
    const connection = await connect({ pool, ...where, reads, tls: { rejectUnauthorized: false } })
    assert.equal(connection.tls?.authorized, false)
    assert.match(some(connection.tls.authorizationError), /SELF_SIGNED/)
    connection.destroy()
    await connection.closed
    await new Promise((resolve) => server.close(resolve))
  })

  test(`what the server says at once is not lost (${reads})`, { skip: noTls }, async () => {
    for (const kind of ['tcp4', 'tls'] as const) {
      const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
      let sent = false
      const server = serve(kind, (socket) =>
        socket.end(pattern(0, 300_000), () => {
          sent = true
        }),
      )
      const where = await listening(server, kind)
      const tls = kind === 'tls' ? { tls: { ca: some(certificate).cert } } : {}
      const connection = await connect({ pool, ...where, ...tls, reads })
      // The driver reads only when a receiver waits, TLS excepted.
      if (kind !== 'tls') await until(() => sent, 'all is sent')
      await turns()
      assert.ok(kind === 'tls' || (pool.out === 0 && pool.stats().copied.bytes === 0))
      assert.equal(await receiveAll(connection), 300_000)
      await connection.close()
      await new Promise((resolve) => server.close(resolve))
      await endAll(pool)
    }
  })
}

test('localhost, where nothing else is said', async () => {
  const server = serve('tcp4', (socket) => socket.end(pattern(0, 100_000)))
  const { port } = await listening(server, 'tcp4')
  const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
  const connection = await connect({ pool, port: some(port) })
  assert.equal(await receiveAll(connection), 100_000)
  await connection.close()
  await new Promise((resolve) => server.close(resolve))
  await endAll(pool)
})

test('the pool of these tests', async () => {
  assert.equal(
    codeOf(() => hostProvider({ pages: 0 })),
    'NETMEM_OUT_OF_RANGE',
  )
  await endAll(pool)
})

test('TLS tells the server which of its names is meant, with and without options', {
  skip: noTls,
}, async () => {
  const names: unknown[] = []
  const server = serve('tls', (socket) => {
    names.push(Reflect.get(socket, 'servername'))
    socket.end()
  })
  const where = await listening(server, 'tls')
  const pool = createPool(hostProvider({ pages: 1 }))
  const own = { rejectUnauthorized: false }
  for (const [host, tls] of [
    ['localhost', own],
    ['127.0.0.1', own],
    ['localhost', { ...own, servername: 'other.test' }],
    ['127.0.0.1', { ...own, servername: 'other.test' }],
  ] as const) {
    const connection = await connect({ pool, ...where, host, tls })
    assert.equal(await connection.receive(), undefined)
    await connection.close()
  }
  assert.deepEqual(names, ['localhost', false, 'other.test', 'other.test'])
  server.close()
  await endAll(pool)
})

test("an option on Object.prototype is not the caller's", () =>
  withServer(
    () => {},
    async (options) => {
      const polluted = { path: '/nowhere.sock', tls: true, reads: 'none' }
      for (const [name, value] of Object.entries(polluted)) {
        Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true })
        try {
          const connection = await connect(options)
          assert.equal(connection.tls, undefined)
          connection.destroy()
        } finally {
          Reflect.deleteProperty(Object.prototype, name)
        }
      }
    },
  ))

test('an unknown option is an error', async () => {
  const pool = createPool(hostProvider({ pages: 1 }))
  const misspelt = { pool, port: 1, conectTimeoutMs: 5 }
  assert.equal(await rejection(connect(misspelt)), 'NETMEM_INVALID_ARGUMENT')
  await endAll(pool)
})
