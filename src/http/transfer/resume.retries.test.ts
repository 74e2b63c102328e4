import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { turns, VirtualClock } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import {
  codeOf,
  content,
  failure,
  ranged,
  serve,
  serveRaw,
  transferring,
} from '../http.test.helper.ts'
import { headFrom, SIZE } from './resume.test.helper.ts'

describe('attempts of a transfer', () => {
  for (const status of [408, 429, 500, 502, 503, 504]) {
    it(`tries again after ${status}`, () =>
      transferring(async (options) => {
        let requests = 0
        await using server = await serve((request, response) => {
          if (++requests % 3 === 0) ranged(request, response)
          else response.writeHead(status).end('busy')
        })
        const { retries } = await getInto(server.url, new Uint8Array(SIZE), options)
        assert.equal(retries, 2)
        const wish = { ...options, retries: 1 }
        assert.equal(
          await codeOf(getInto(server.url, new Uint8Array(SIZE), wish)),
          'NETMEM_HTTP_STATUS',
        )
      }))
  }

  for (const status of [429, 503]) {
    it(`honours Retry-After with ${status}, up to a limit`, () =>
      transferring(async (options) => {
        let requests = 0
        await using server = await serve((request, response) => {
          if (++requests > 1) ranged(request, response)
          else response.writeHead(status, { 'retry-after': '1' }).end()
        })
        const began = performance.now()
        await getInto(server.url, new Uint8Array(SIZE), options)
        assert.ok(performance.now() - began >= 999)
        requests = 0
        const wish = { ...options, maxRetryAfterMs: 999 }
        const error = await failure(getInto(server.url, new Uint8Array(SIZE), wish))
        assert.deepEqual(
          [Reflect.get(error, 'status'), Reflect.get(error, 'retryAfterMs')],
          [status, 1000],
        )
        assert.match(error.message, /Try again in 1 s, as it asks\.$/)
        assert.equal(requests, 1)
      }))
  }

  it('does not try a server again that was never there', () =>
    transferring(async (options) => {
      const server = await serve(() => {})
      await server[Symbol.asyncDispose]()
      const error = await failure(
        getInto(server.url, new Uint8Array(1), { ...options, retryDelayMs: 60_000 }),
      )
      assert.equal(error.code, 'NETMEM_CONNECT_FAILED')
    }))

  it('gives up a server that says nothing', (t) =>
    transferring(async (options) => {
      const clock = new VirtualClock(t)
      await using server = await serveRaw((socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        void turns().then(() => clock.advance(50))
      })
      const wish = { ...options, headTimeoutMs: 50, retries: 1 }
      const error = await failure(getInto(server.url, new Uint8Array(1), wish))
      assert.equal(error.code, 'NETMEM_TIMEOUT')
      assert.match(error.message, /did not finish its head in 50 ms\.$/)
      assert.equal(server.connections(), 2)
    }))

  it('is aborted while it waits', () =>
    transferring(async (options) => {
      const controller = new AbortController()
      await using server = await serve((_, response) => {
        response.writeHead(503).end(() => void turns().then(() => controller.abort()))
      })
      const wish = { ...options, retryDelayMs: 60_000, signal: controller.signal }
      assert.equal(await codeOf(getInto(server.url, new Uint8Array(1), wish)), 'NETMEM_ABORTED')
    }))

  it('never says that less is all', () =>
    transferring(async (options) => {
      const wish = { ...options, retries: 0 }
      for (const missing of [1, 17, SIZE]) {
        await using server = await serveRaw((socket) => {
          socket.write(headFrom(0))
          socket.end(content.subarray(0, SIZE - missing))
        })
        for (const destination of [new Uint8Array(SIZE), new SharedArrayBuffer(SIZE)]) {
          assert.equal(await codeOf(getInto(server.url, destination, wish)), 'NETMEM_ENDED_EARLY')
        }
      }
    }))
})
