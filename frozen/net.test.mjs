// Connecting, listening, adopting, piping, and request bodies of Node's HTTP server.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { test } from 'node:test'
import { createGzip, gunzipSync } from 'node:zlib'
import { adopt, connect, listen, pipeTo, receiveBody, receiveInto } from 'netmem/net'
import {
  freshPath,
  pattern,
  receiveAll,
  rejected,
  same,
  turns,
  until,
  ways,
  withEnds,
  withPool,
  withServer,
} from './harness.mjs'

const BYTES = 1_000_000
const payload = pattern(BYTES)
const [tcp] = ways

test('listen: accepts in order, and ends when it is closed', () =>
  withPool(async (pool) => {
    const listener = await listen({ pool, port: 0 })
    const { host, port } = listener.address
    assert.deepEqual([host, port > 0], ['127.0.0.1', true])
    const texts = []
    const accepting = (async () => {
      for await (const connection of listener) {
        texts.push((await receiveAll(connection)).toString())
        await connection.close()
        if (texts.length === 3) break
      }
    })()
    for (const text of ['1', '2', '3']) {
      const socket = net.connect(port, host).end(text).resume()
      await once(socket, 'close')
    }
    await accepting
    assert.deepEqual(texts, ['1', '2', '3'])
    const waiting = listener.accept()
    await listener.close()
    assert.equal(await waiting, undefined)
    assert.equal(await listener.accept(), undefined)
  }))

test('listen and connect: both ends of one connection', () =>
  withPool(async (pool) => {
    for (const where of [{ port: 0 }, { path: freshPath() }]) {
      const listener = await listen({ pool, ...where })
      const { port } = listener.address
      const [near, far] = await Promise.all([
        connect({ pool, ...(port === 0 ? where : { host: '127.0.0.1', port }) }),
        listener.accept(),
      ])
      const sending = near.write(payload).then(() => near.end())
      same(await receiveAll(far), payload)
      await sending
      assert.equal(near.remoteAddress.port, far.localAddress.port)
      await Promise.all([near.close(), far.close(), listener.close()])
    }
  }))

test('connect: refused, given up, and wrong', () =>
  withPool(async (pool) => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address()
    server.close()
    await once(server, 'close')
    const host = '127.0.0.1'
    const cases = [
      [{ host, port }, 'NETMEM_CONNECT_FAILED'],
      [{ path: freshPath() }, 'NETMEM_CONNECT_FAILED'],
      [{ host, port, signal: AbortSignal.abort() }, 'NETMEM_ABORTED'],
      [{ host, port: 70_000 }, 'NETMEM_OUT_OF_RANGE'],
      [{ host, port: '80' }, 'NETMEM_INVALID_ARGUMENT'],
      [{ host }, 'NETMEM_INVALID_ARGUMENT'],
      [{ host, port, hots: 1 }, 'NETMEM_INVALID_ARGUMENT'],
      [{ host, port, pool: {} }, 'NETMEM_INVALID_ARGUMENT'],
      [{ host, port, signal: 1 }, 'NETMEM_INVALID_ARGUMENT'],
      [{ host, port, smallBufferBytes: 1 }, 'NETMEM_OUT_OF_RANGE'],
      [{ host, port, idleTimeoutMs: 0 }, 'NETMEM_OUT_OF_RANGE'],
    ]
    for (const [options, code] of cases) {
      const call = async () => connect({ pool, ...options })
      assert.equal(await rejected(call), code, JSON.stringify(options))
    }
  }))

test('listen: the port is taken', () =>
  withPool(async (pool) => {
    const first = await listen({ pool, port: 0 })
    const second = listen({ pool, port: first.address.port })
    assert.equal(await rejected(second), 'NETMEM_LISTEN_FAILED')
    await first.close()
  }))

test('adopt: takes over a socket, with what was read already', () =>
  withPool(async (pool) => {
    const server = http.createServer()
    server.on('upgrade', async (_request, socket, head) => {
      const connection = adopt(socket, { pool, head })
      await connection.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n')
      const body = await receiveAll(connection)
      await connection.write(`${body.length} bytes`)
      await connection.close()
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const socket = net.connect(server.address().port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nhead')
    socket.end(payload)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    await once(socket, 'close')
    assert.match(text, new RegExp(`^HTTP/1.1 101 Go[^]*\r\n\r\n${BYTES + 4} bytes$`))
    server.close()
    await once(server, 'close')
  }))

test('adopt: refuses what it cannot take', () =>
  withPool(async (pool) => {
    const call = (socket) => async () => adopt(socket, { pool })
    assert.equal(await rejected(call(new net.Socket())), 'NETMEM_INVALID_ARGUMENT')
    assert.equal(await rejected(call({})), 'NETMEM_INVALID_ARGUMENT')
  }))

test('pipeTo: a file, in order and complete', () =>
  withEnds(tcp, async ({ connection, peer }) => {
    const path = freshPath()
    peer.end(payload)
    assert.equal(await connection.pipeTo(createWriteStream(path)), BYTES)
    same(readFileSync(path), payload)
  }))

test('pipeTo: a slow stream, a transform, a web stream', async () => {
  for (const make of [
    (parts) =>
      new Writable({
        write: (chunk, _encoding, done) => {
          parts.push(Buffer.from(chunk))
          setImmediate(done)
        },
      }),
    (parts) => new PassThrough().on('data', (chunk) => parts.push(chunk)),
    (parts) => new WritableStream({ write: (chunk) => void parts.push(Buffer.from(chunk)) }),
  ]) {
    await withEnds(tcp, async ({ connection, peer }) => {
      const parts = []
      peer.end(payload)
      assert.equal(await pipeTo(connection, make(parts)), BYTES)
      same(Buffer.concat(parts), payload)
    })
  }
})

test('pipeTo: through gzip', () =>
  withEnds(tcp, async ({ connection, peer }) => {
    const gzip = createGzip()
    const zipped = gzip.toArray()
    peer.end(payload)
    await pipeTo(connection, gzip)
    same(gunzipSync(Buffer.concat(await zipped)), payload)
  }))

test('pipeTo: another connection', () =>
  withEnds(tcp, (from) =>
    withEnds(tcp, async (to) => {
      const received = to.peer.toArray()
      from.peer.end(payload)
      assert.equal(await from.connection.pipeTo(to.connection), BYTES)
      same(Buffer.concat(await received), payload)
    }),
  ))

test('pipeTo: a destination that fails, and a signal', async () => {
  await withEnds(tcp, async ({ connection, peer }) => {
    const broken = new Error('disk full')
    const destination = new Writable({ write: (_chunk, _encoding, done) => done(broken) })
    peer.write(payload)
    await assert.rejects(pipeTo(connection, destination), broken)
  })
  await withEnds(tcp, async ({ connection }) => {
    const controller = new AbortController()
    const destination = new PassThrough()
    const piping = pipeTo(connection, destination, { signal: controller.signal })
    await turns(5)
    controller.abort()
    assert.equal(await rejected(piping), 'NETMEM_ABORTED')
    assert.equal(destination.destroyed, true)
  })
  await withEnds(tcp, async ({ connection }) => {
    assert.equal(await rejected(async () => pipeTo(connection, {})), 'NETMEM_INVALID_ARGUMENT')
  })
})

test('receiveBody: through a pool, and into memory', () =>
  withPool(async (pool) => {
    const memory = new SharedArrayBuffer(BYTES)
    const handler = async (request, response) => {
      try {
        if (request.url === '/pool') {
          same(await receiveAll(receiveBody(request, pool)), payload)
          response.end('pool')
        } else {
          response.end(String(await receiveBody(request, memory)))
        }
      } catch (error) {
        response.writeHead(413, { connection: 'close' }).end(error.code)
      }
    }
    await withServer(handler, async (url) => {
      const post = async (path, body) =>
        (await fetch(url + path, { method: 'POST', body, duplex: 'half' })).text()
      assert.equal(await post('/pool', payload), 'pool')
      const path = freshPath()
      await new Promise((resolve) => createWriteStream(path).end(payload, resolve))
      assert.equal(await post('/pool', createReadStream(path)), 'pool')
      assert.equal(await post('/memory', payload), String(BYTES))
      same(memory, payload)
      assert.equal(await post('/memory', payload.subarray(0, 10)), '10')
      const long = Buffer.concat([payload, payload.subarray(0, 1)])
      const answer = await post('/memory', long).catch(() => 'NETMEM_DESTINATION_TOO_SMALL')
      assert.equal(answer, 'NETMEM_DESTINATION_TOO_SMALL')
    })
  }))

test('receiveBody: a client that breaks off', () =>
  withPool(async (pool) => {
    let failed
    const failure = new Promise((resolve) => {
      failed = resolve
    })
    let asked = false
    const handler = (request) => {
      asked = true
      receiveAll(receiveBody(request, pool)).catch(failed)
    }
    await withServer(handler, async (url) => {
      const socket = net.connect(new URL(url).port, '127.0.0.1').on('error', () => {})
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf')
      await until(() => asked)
      await turns(20)
      socket.destroy()
      assert.equal((await failure).code, 'NETMEM_ENDED_EARLY')
    })
  }))

test('receiveInto: wrong calls', () =>
  withEnds(tcp, async ({ connection }) => {
    for (const [args, code] of [
      [[], 'NETMEM_INVALID_ARGUMENT'],
      [['text'], 'NETMEM_INVALID_ARGUMENT'],
      [[new Uint8Array(4), { length: 5 }], 'NETMEM_DESTINATION_TOO_SMALL'],
      [[new Uint8Array(4), { length: -1 }], 'NETMEM_OUT_OF_RANGE'],
      [[new Uint8Array(4), { size: 1 }], 'NETMEM_INVALID_ARGUMENT'],
    ]) {
      assert.equal(await rejected(async () => receiveInto(connection, ...args)), code)
    }
    assert.equal(connection.state.kind, 'open')
  }))
