import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { createPool } from '../../pool/create-pool.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { hostProvider } from '../../providers/host.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { endAll, pattern, rejection, same } from '../harness.test.helper.ts'
import { receiveBody } from './receive-body.ts'

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => Promise<void>

/** Runs `body` against a server whose handler's failure fails the test. */
async function withServer(handler: Handler, body: (port: number) => Promise<void>): Promise<void> {
  const handled: Promise<void>[] = []
  const server = http.createServer((request, response) => {
    handled.push(handler(request, response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  try {
    await body(address.port)
    await Promise.all(handled)
    assert.ok(handled.length > 0)
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
}

/** Posts bytes of the pattern, with `Content-Length` or chunked. Resolves with status and text. */
async function post(port: number, bytes: number, chunked: boolean): Promise<string> {
  const headers = chunked ? {} : { 'Content-Length': bytes }
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', headers, agent: false })
  const answered = once(request, 'response')
  for (let at = 0; at < bytes; at += 50_000) {
    if (!request.write(pattern(at, Math.min(50_000, bytes - at)))) {
      await Promise.race([once(request, 'drain'), answered])
    }
    if (request.destroyed) break
  }
  request.end()
  const [response] = (await answered) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  request.destroy()
  return `${response.statusCode} ${text}`
}

const total = 1_000_000

for (const chunked of [false, true]) {
  const name = chunked ? 'chunked' : 'Content-Length'

  test(`a body into pages of a pool (${name})`, async () => {
    const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
    await withServer(
      async (request, response) => {
        const held: HostFrag[] = []
        let at = 0
        for await (const frag of receiveBody(request, pool)) {
          at += frag.length
          held.push(frag)
          assert.ok(frag.length <= pool.pageSize)
          // Frags are held for a while, so that the pool is dry now and then.
          if (held.length === 4) {
            await turns()
            for (const frag of held.splice(0)) check(frag)
          }
        }
        for (const frag of held.splice(0)) check(frag)
        response.end(`${at}`)
      },
      async (port) => {
        assert.equal(await post(port, total, chunked), `200 ${total}`)
        assert.equal(await post(port, 0, chunked), '200 0')
      },
    )
    assert.equal(checked % total, 0)
    await endAll(pool)
  })
  let checked = 0
  const check = (frag: HostFrag): void => {
    same(frag.bytes, checked)
    checked += frag.length
    frag.release()
  }

  test(`a body into one destination (${name})`, () =>
    withServer(
      async (request, response) => {
        const memory = new SharedArrayBuffer(total)
        const bytes = await receiveBody(request, memory)
        same(new Uint8Array(memory, 0, bytes), 0)
        response.end(`${bytes}`)
      },
      async (port) => {
        assert.equal(await post(port, total, chunked), `200 ${total}`)
        assert.equal(await post(port, 70_000, chunked), '200 70000')
        assert.equal(await post(port, 0, chunked), '200 0')
      },
    ))

  test(`a body larger than its destination can still be answered (${name})`, () =>
    withServer(
      async (request, response) => {
        const code = await rejection(receiveBody(request, new Uint8Array(total - 1)))
        assert.equal(code, 'NETMEM_DESTINATION_TOO_SMALL')
        response.writeHead(413, { Connection: 'close' }).end(code)
        request.resume()
      },
      async (port) => {
        assert.equal(await post(port, total, chunked), '413 NETMEM_DESTINATION_TOO_SMALL')
      },
    ))

  test(`a body left in the middle can still be answered (${name})`, async () => {
    const pool = createPool(hostProvider({ pages: 2, pageSize: 65_536 }))
    await withServer(
      async (request, response) => {
        for await (const frag of receiveBody(request, pool)) {
          frag.release()
          break
        }
        assert.equal(pool.out, 0)
        response.writeHead(415, { Connection: 'close' }).end('no')
        request.resume()
      },
      async (port) => assert.equal(await post(port, total, chunked), '415 no'),
    )
    await endAll(pool)
  })

  test(`a client that breaks off (${name})`, async () => {
    const pool = createPool(hostProvider({ pages: 4, pageSize: 65_536 }))
    for (const how of ['end', 'reset'] as const) {
      for (const into of ['pool', 'destination'] as const) {
        let broken: Promise<string> | undefined
        let client: net.Socket | undefined
        await withServer(
          async (request) => {
            broken = rejection(
              into === 'pool'
                ? releaseAll(receiveBody(request, pool))
                : receiveBody(request, new Uint8Array(1000)),
            )
            await leave(some(client), how)
            assert.equal(await broken, 'NETMEM_ENDED_EARLY')
          },
          async (port) => {
            client = net.connect(port, '127.0.0.1').on('error', () => {})
            const length = chunked ? 'Transfer-Encoding: chunked' : 'Content-Length: 1000'
            client.write(`POST / HTTP/1.1\r\nHost: a\r\n${length}\r\n\r\n64\r\n`)
            client.write(pattern(0, 50))
            await once(client, 'close')
          },
        )
      }
    }
    await endAll(pool)
  })
}

async function releaseAll(frags: AsyncIterable<HostFrag>): Promise<void> {
  for await (const frag of frags) frag.release()
}

async function leave(client: net.Socket, how: 'end' | 'reset'): Promise<void> {
  await turns()
  if (how === 'end') client.destroy()
  else client.resetAndDestroy()
}

test('a destination that is taken away during the transfer', () =>
  withServer(
    async (request, response) => {
      const memory = new ArrayBuffer(total)
      const received = rejection(receiveBody(request, memory))
      await once(request, 'data')
      structuredClone(memory, { transfer: [memory] })
      response.end(await received)
      request.resume()
    },
    async (port) => assert.equal(await post(port, total, true), '200 NETMEM_DESTINATION_DETACHED'),
  ))

test('what a body cannot be received into', async () => {
  const pool = createPool(hostProvider({ pages: 1 }))
  await withServer(
    async (request, response) => {
      const gone = new ArrayBuffer(8)
      structuredClone(gone, { transfer: [gone] })
      assert.equal(await rejection(receiveBody(request, gone)), 'NETMEM_DESTINATION_DETACHED')
      const odd = {} as unknown as Uint8Array
      assert.equal(await rejection(receiveBody(request, odd)), 'NETMEM_INVALID_ARGUMENT')
      const none = {} as unknown as typeof request
      assert.equal(await rejection(receiveBody(none, odd)), 'NETMEM_INVALID_ARGUMENT')
      const frags = receiveBody(none, pool)[Symbol.asyncIterator]()
      assert.equal(await rejection(frags.next()), 'NETMEM_INVALID_ARGUMENT')
      request.setEncoding('utf8')
      const text = receiveBody(request, new Uint8Array(100))
      assert.equal(await rejection(text), 'NETMEM_INVALID_ARGUMENT')
      response.end()
    },
    async (port) => assert.equal(await post(port, 10, false), '200 '),
  )
  await endAll(pool)
})

test('a pool destroyed while a body waits for its memory', async () => {
  const pool = createPool(hostProvider({ pages: 1, pageSize: 65_536 }))
  await withServer(
    async (request, response) => {
      const frags = receiveBody(request, pool)[Symbol.asyncIterator]()
      const { value } = await frags.next()
      const waiting = rejection(frags.next())
      const destroyed = pool.destroy()
      response.writeHead(503, { Connection: 'close' }).end(await waiting)
      request.resume()
      value.release()
      await destroyed
    },
    async (port) => assert.equal(await post(port, total, false), '503 NETMEM_POOL_DESTROYED'),
  )
  assert.equal(pool.inflight, 0)
})
