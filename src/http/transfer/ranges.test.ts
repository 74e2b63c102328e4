import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { turns, until } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import {
  begins,
  codeOf,
  content,
  freshFolder,
  ranged,
  serve,
  serveRaw,
  sha256,
  transferring,
} from '../http.test.helper.ts'

/** Body that is large enough for a piece for each connection. */
const large = Buffer.concat([content, content, content, content])
const SIZE = large.length
const OTHER = Buffer.from(large).reverse()

describe('parallel ranges', () => {
  it('make up the same body, in memory and in a file', () =>
    transferring(async (options) => {
      let most = 0
      let now = 0
      await using server = await serve(async (request, response) => {
        most = Math.max(most, ++now)
        response.on('close', () => now--)
        await turns()
        ranged(request, response, large)
      })
      for (const connections of [2, 3, 8]) {
        const wish = { ...options, connections, sha256: sha256(large) }
        for (const memory of [new Uint8Array(SIZE), new SharedArrayBuffer(SIZE)]) {
          most = 0
          let progress = 0
          const onProgress = (bytes: number): void => {
            progress = bytes
          }
          const result = await getInto(server.url, memory, { ...wish, onProgress })
          assert.deepEqual([result.bytes, result.connections, progress], [SIZE, connections, SIZE])
          assert.ok(most > 1, `${most}`)
          begins(memory, large)
        }
        const { at, names } = freshFolder()
        await getInto(server.url, { path: at('f') }, wish)
        begins(readFileSync(at('f')), large)
        assert.deepEqual(names(), ['f'])
      }
    }))

  it('keep to a rate together, in memory and in a file', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => ranged(request, response, large))
      const { at } = freshFolder()
      const wish = { ...options, connections: 4, maxBytesPerSecond: 20_000_000 }
      const memory = new Uint8Array(SIZE)
      for (const destination of [memory, { path: at('f') }]) {
        const began = performance.now()
        const { connections } = await getInto(server.url, destination, wish)
        const ms = performance.now() - began
        assert.equal(connections, 4)
        // The last burst is not waited for, of 2.5 MB into memory and of the pool's pages into a file.
        assert.ok(ms > 300, `${ms}`)
      }
      begins(memory, large)
      begins(readFileSync(at('f')), large)
    }))

  it('tell a destination function how long the whole is', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => ranged(request, response, large))
      let memory = new Uint8Array(0)
      const make = (_: unknown, length: number | undefined): Uint8Array => {
        memory = new Uint8Array(length ?? 0)
        return memory
      }
      await getInto(server.url, make, { ...options, connections: 4 })
      assert.equal(memory.length, SIZE)
      begins(memory, large)
    }))

  const fallbacks = {
    'a server without ranges': (
      request: { headers: object },
      response: Parameters<typeof ranged>[1],
    ) => {
      response.writeHead(200, { 'content-length': SIZE, etag: '"1"' }).end(large)
      return request
    },
    'a body without a validator': (
      request: Parameters<typeof ranged>[0],
      response: Parameters<typeof ranged>[1],
    ) => ranged(request, response, large, ''),
    'a chunked body': (_: object, response: Parameters<typeof ranged>[1]) => {
      response.write(large)
      response.end()
    },
  }
  for (const [what, handler] of Object.entries(fallbacks)) {
    it(`fall back to one connection with ${what}`, () =>
      transferring(async (options) => {
        await using server = await serve(handler)
        const memory = new Uint8Array(SIZE)
        const wish = { ...options, connections: 4, sha256: sha256(large) }
        const { connections, bytes } = await getInto(server.url, memory, wish)
        assert.deepEqual([connections, bytes], [1, SIZE])
        begins(memory, large)
      }))
  }

  it('are one range for a small body, and none for an empty one', () =>
    transferring(async (options) => {
      for (const size of [0, 1, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1]) {
        const body = large.subarray(0, size)
        await using server = await serve((request, response) => ranged(request, response, body))
        const memory = new Uint8Array(size)
        const { bytes } = await getInto(server.url, memory, { ...options, connections: 4 })
        assert.equal(bytes, size)
        begins(memory, body)
      }
    }))

  it('each resume where they break', () =>
    transferring(async (options) => {
      let requests = 0
      await using server = await serve((request, response) => {
        if (++requests % 2 === 0 || requests > 16) {
          ranged(request, response, large)
          return
        }
        const match = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')
        const [first, last] = [Number(match?.[1]), Math.min(Number(match?.[2]), SIZE - 1)]
        response.writeHead(206, {
          etag: '"1"',
          'content-range': `bytes ${first}-${last}/${SIZE}`,
          'content-length': last - first + 1,
        })
        response.write(
          large.subarray(first, first + 10_000),
          () => void turns().then(() => response.destroy()),
        )
      })
      const { at } = freshFolder()
      const wish = { ...options, connections: 4, retries: 100, sha256: sha256(large) }
      const memory = new Uint8Array(SIZE)
      const { retries } = await getInto(server.url, memory, wish)
      assert.ok(retries > 3)
      begins(memory, large)
      requests = 0
      await getInto(server.url, { path: at('f') }, wish)
      begins(readFileSync(at('f')), large)
    }))

  for (const [status, allowed] of [
    [503, 1],
    [429, 2],
  ] as const) {
    it(`are fetched over as many connections as the server takes, ${allowed} before ${status}`, () =>
      transferring(async (options) => {
        let now = 0
        let refused = 0
        let requests = 0
        const sockets = new Set<unknown>()
        await using server = await serve(async (request, response) => {
          const isFirst = ++requests === 1
          sockets.add(request.socket)
          if (now >= allowed) {
            refused++
            response.writeHead(status, { 'retry-after': '100000' }).end()
            return
          }
          now++
          response.on('close', () => now--)
          // All other requests arrive before one of them is answered.
          if (!isFirst) await until(() => sockets.size === 6, 'all have asked')
          ranged(request, response, large)
        })
        const { at } = freshFolder()
        const memory = new Uint8Array(SIZE)
        const wish = { ...options, connections: 6, maxRetryAfterMs: 0, sha256: sha256(large) }
        for (const destination of [memory, { path: at('f') }]) {
          refused = 0
          requests = 0
          sockets.clear()
          const { connections, retries } = await getInto(server.url, destination, wish)
          // Two may take turns so that the server sees one.
          assert.ok(connections <= allowed + 1, `${connections}`)
          assert.deepEqual([refused, retries], [6 - connections, 0])
        }
        begins(memory, large)
        begins(readFileSync(at('f')), large)
      }))
  }

  it('fail where the server refuses the last connection, too', () =>
    transferring(async (options) => {
      let requests = 0
      await using server = await serve((request, response) => {
        if (++requests === 1) ranged(request, response, large)
        else response.writeHead(503).end()
      })
      const wish = { ...options, connections: 4, retries: 2 }
      const code = await codeOf(getInto(server.url, new Uint8Array(SIZE), wish))
      assert.equal(code, 'NETMEM_HTTP_STATUS')
      // The first range, one try for each of the others, and one more piece with two retries.
      assert.equal(requests, 1 + 3 + 3)
    }))

  it('of a file that fails leave what is whole from the start, and are gone on with', () =>
    transferring(async (options) => {
      let broken = true
      let sent = 0
      let arrived = 0
      await using server = await serve(async (request, response) => {
        const [, first = 0, last = SIZE - 1] =
          /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
        if (!broken || Number(first) < 5_000_000) {
          sent += Number(last) + 1 - Number(first)
          ranged(request, response, large)
        } else {
          await until(() => arrived >= sent, 'the others are through')
          response.destroy()
        }
      })
      const onProgress = (bytes: number): void => {
        arrived = bytes
      }
      const { at, names } = freshFolder()
      const wish = { ...options, connections: 3, retries: 0, sha256: sha256(large) }
      const destination = { path: at('f'), resume: true }
      await codeOf(getInto(server.url, destination, { ...wish, onProgress }))
      assert.equal(names().length, 2)
      const left = readFileSync(at(names().find((name) => name.endsWith('.part')) ?? ''))
      assert.ok(left.length >= 2 ** 20 && left.length < 6_000_000, `${left.length}`)
      begins(left, large.subarray(0, left.length))
      broken = false
      await getInto(server.url, destination, wish)
      begins(readFileSync(at('f')), large)
      assert.deepEqual(names(), ['f'])
    }))

  it('fail, or begin anew, when the body changes between them', () =>
    transferring(async (options) => {
      for (const how of ['200', '206', '416']) {
        let requests = 0
        await using server = await serve((request, response) => {
          const changed = ++requests > 3
          if (!changed) ranged(request, response, large)
          else if (how === '200') ranged(request, response, OTHER, '"2"')
          else if (how === '206' || request.headers['if-range'] !== '"1"') {
            delete request.headers['if-range']
            ranged(request, response, OTHER, '"2"')
          } else response.writeHead(416, { 'content-range': 'bytes */9' }).end()
        })
        const memory = new Uint8Array(SIZE)
        const wish = { ...options, connections: 2 }
        assert.equal(await codeOf(getInto(server.url, memory, wish)), 'NETMEM_HTTP_CHANGED', how)
        requests = 0
        await getInto(server.url, memory, { ...wish, onChange: 'restart', sha256: sha256(OTHER) })
        begins(memory, OTHER)
      }
    }))

  it('are refused where they lie', () =>
    transferring(async (options) => {
      const lies = [
        `bytes 0-1048576/${SIZE}`,
        `bytes 1-1048575/${SIZE}`,
        'bytes 0-1048575/1000',
        'bytes 0-1000/*',
        'nonsense',
      ]
      for (const lie of lies) {
        await using server = await serveRaw((socket) => {
          socket.write(
            `HTTP/1.1 206 Partial\r\nETag: "1"\r\nContent-Range: ${lie}\r\nContent-Length: 1048576\r\n\r\n`,
          )
          socket.write(large.subarray(0, 1_048_576))
        })
        const wish = { ...options, connections: 4 }
        assert.equal(
          await codeOf(getInto(server.url, new Uint8Array(SIZE), wish)),
          'NETMEM_HTTP_RANGE',
          lie,
        )
      }
    }))

  it('are all aborted together', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.headers.range?.startsWith('bytes=0-')) ranged(request, response, large)
      })
      const wish = { ...options, connections: 4, signal: AbortSignal.timeout(50) }
      assert.equal(await codeOf(getInto(server.url, new Uint8Array(SIZE), wish)), 'NETMEM_ABORTED')
    }))
})
