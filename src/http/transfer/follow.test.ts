import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { describe, it } from 'node:test'
import { certificate, noTls } from '../../net/harness.test.helper.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { getInto } from '../get-into.ts'
import { begins, codeOf, listening, serve, serveRaw, transferring } from '../http.test.helper.ts'

const memory = new Uint8Array(8)
const secrets = { cookie: 'a=b', 'X-Other': 'c' }
const authorization = { bearer: 'secret' }

describe('redirects', () => {
  for (const status of [301, 302, 303, 307, 308]) {
    it(`are followed with ${status}, relative ones as well, on the same connection`, () =>
      transferring(async (options) => {
        const seen: IncomingMessage[] = []
        await using server = await serve((request, response) => {
          seen.push(request)
          if (request.url === '/a/b') response.writeHead(status, { location: '../c?d#e' }).end()
          else response.end('there')
        })
        const wish = { ...options, headers: secrets, authorization }
        const { url } = await getInto(`${server.url}a/b`, memory, wish)
        assert.equal(url, `${server.url}c?d`)
        begins(memory, Buffer.from('there'))
        assert.equal(seen[1]?.headers.authorization, 'Bearer secret')
        assert.equal(seen[1]?.headers.cookie, 'a=b')
        assert.equal(server.connections(), 1)
      }))
  }

  it('lead to paths with bytes beyond ASCII, in any coding', () =>
    transferring(async (options) => {
      const seen: string[] = []
      // UTF-8, as most servers send it, and bytes that are not.
      for (const [location, asked] of [
        ['/caf\u00c3\u00a9?\u00c3\u00a9', '/caf%c3%a9?%c3%a9'],
        ['/caf\u00e9', '/caf%e9'],
      ] as const) {
        await using server = await serveRaw((socket, request) => {
          seen.push(request.split(' ')[1] ?? '')
          const head = `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`
          if (request.startsWith('GET / ')) socket.write(head, 'latin1')
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        })
        assert.equal((await getInto(server.url, memory, options)).bytes, 2)
        assert.deepEqual(seen.splice(0), ['/', asked])
      }
    }))

  it('are followed where one place is named twice, and not where two are', () =>
    transferring(async (options) => {
      for (const second of ['/a', '/b']) {
        await using server = await serveRaw((socket, request) => {
          const fields = `Location: /a\r\nLocation: ${second}\r\nContent-Length: 0\r\n\r\n`
          if (request.startsWith('GET / ')) socket.write(`HTTP/1.1 302 Found\r\n${fields}`)
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        })
        const got = getInto(server.url, memory, options)
        if (second === '/a') assert.equal((await got).bytes, 2)
        else assert.equal(await codeOf(got), 'NETMEM_HTTP_REDIRECTS')
      }
    }))

  it('take no credentials to another origin, and none back', () =>
    transferring(async (options) => {
      const seen: IncomingMessage[] = []
      await using home = await serve((request, response) => {
        seen.push(request)
        if (request.url === '/') response.writeHead(302, { location: other.url }).end()
        else response.end('back')
      })
      await using other = await serve((request, response) => {
        seen.push(request)
        response.writeHead(302, { location: `${home.url}back` }).end()
      })
      const url = home.url.replace('//', '//user:password@')
      for (const wish of [
        { ...options, headers: { ...secrets, Authorization: 'Basic x' } },
        { ...options, headers: secrets, authorization },
      ]) {
        for (const from of [home.url, url]) {
          seen.length = 0
          const result = await getInto(from, memory, wish)
          assert.equal(result.url, `${home.url}back`)
          assert.equal(seen.length, 3)
          assert.ok(seen[0]?.headers.authorization?.match(/secret|Basic/))
          for (const request of seen.slice(1)) {
            assert.equal(request.headers.authorization, undefined)
            assert.equal(request.headers.cookie, undefined)
            // Any field may hold a secret.
            assert.equal(request.headers['x-other'], undefined)
          }
        }
      }
    }))

  it('take to other origins what the caller says, and no more', () =>
    transferring(async (options) => {
      const seen: IncomingMessage[] = []
      await using other = await serve((request, response) => {
        seen.push(request)
        response.end('there')
      })
      await using home = await serve((_request, response) => {
        response.writeHead(302, { location: other.url }).end()
      })
      const wish = { ...options, authorization, headers: { 'X-Api-Key': 'a', 'X-Other': 'b' } }
      for (const [crossOriginHeaders, key, rest] of [
        [undefined, undefined, undefined],
        [false, undefined, undefined],
        [['x-OTHER'], undefined, 'b'],
        [true, 'a', 'b'],
      ] as const) {
        await getInto(home.url, memory, {
          ...wish,
          ...(crossOriginHeaders && { crossOriginHeaders }),
        })
        const { headers } = some(seen.pop())
        assert.deepEqual([headers['x-api-key'], headers['x-other']], [key, rest])
        assert.equal(headers.authorization, undefined)
      }
      const code = await codeOf(
        getInto(home.url, memory, {
          ...wish,
          crossOriginHeaders: 'x-other' as unknown as string[],
        }),
      )
      assert.equal(code, 'NETMEM_INVALID_ARGUMENT')
    }))

  it('send headers as they were when the transfer began', () =>
    transferring(async (options) => {
      const headers: Record<string, string> = { 'X-A': 'b' }
      const seen: IncomingMessage[] = []
      await using server = await serve((request, response) => {
        seen.push(request)
        headers['X-B\r\nX-Evil: 1\r\nX-C'] = 'd'
        headers['Content-Length'] = '5'
        if (seen.length === 1) response.writeHead(302, { location: '/there' }).end()
        else response.end('there')
      })
      let reads = 0
      Object.defineProperty(headers, 'X-Got', {
        enumerable: true,
        get: () => (++reads === 1 ? 'once' : 'b\r\nX-Evil: 1'),
      })
      await getInto(server.url, memory, { ...options, headers })
      for (const request of seen) {
        assert.equal(request.headers['x-got'], 'once')
        assert.equal(request.headers['x-a'], 'b')
        assert.deepEqual(
          [request.headers['x-evil'], request.headers['content-length']],
          [undefined, undefined],
        )
      }
      assert.deepEqual([seen.length, reads], [2, 1])
    }))

  it('from https: to http: are refused unless they are allowed', { skip: noTls }, () =>
    transferring(async (options) => {
      await using plain = await serve((_request, response) => void response.end('plain'))
      const server = https.createServer(some(certificate), (_request, response) => {
        response.writeHead(302, { location: plain.url }).end()
      })
      await using secure = await listening(server, 'https')
      const wish = { ...options, tls: { ca: some(certificate).cert } }
      const refused = getInto(secure.url, memory, wish)
      await assert.rejects(refused, { code: 'NETMEM_HTTP_REDIRECTS', message: /not encrypted/ })
      const { url } = await getInto(secure.url, memory, { ...wish, allowDowngrade: true })
      assert.equal(url, plain.url)
    }),
  )

  it('within one origin keep what the URL says of who asks, relative or not', () =>
    transferring(async (options) => {
      const seen: (string | undefined)[] = []
      await using server = await serve((request, response) => {
        seen.push(request.headers.authorization)
        const location = { '/': `${server.url}a`, '/a': '/b', '/b': `${server.url}a` }
        const next: unknown = Reflect.get(location, request.url ?? '')
        if (typeof next === 'string' && seen.length < 3) response.writeHead(302, { location: next })
        response.end('there')
      })
      const url = server.url.replace('//', '//user:pass%20word@')
      const result = await getInto(url, memory, options)
      assert.equal(result.url, `${server.url}b`)
      const basic = `Basic ${Buffer.from('user:pass word').toString('base64')}`
      assert.deepEqual(seen, [basic, basic, basic])
      seen.length = 0
      await using circle = await serve((_, response) => {
        seen.push('')
        response.writeHead(302, { location: circle.url }).end()
      })
      const named = circle.url.replace('//', '//user@')
      assert.equal(await codeOf(getInto(named, memory, options)), 'NETMEM_HTTP_REDIRECTS')
      assert.equal(seen.length, 1)
    }))

  it('in a circle, to themselves, or without end are refused', () =>
    transferring(async (options) => {
      let requests = 0
      await using server = await serve((request, response) => {
        requests++
        const next: Record<string, string> = { '/a': '/b', '/b': '/a', '/self': '/self#x' }
        const location = next[request.url ?? ''] ?? `/${requests}`
        response.writeHead(302, { location }).end()
      })
      for (const [path, expected] of [
        ['a', 2],
        ['self', 1],
        ['more', 11],
      ] as const) {
        requests = 0
        assert.equal(
          await codeOf(getInto(server.url + path, memory, options)),
          'NETMEM_HTTP_REDIRECTS',
        )
        assert.equal(requests, expected)
      }
      const wish = { ...options, maxRedirects: 0 }
      assert.equal(await codeOf(getInto(server.url, memory, wish)), 'NETMEM_HTTP_REDIRECTS')
    }))

  it('to other schemes, or to nothing, are refused', () =>
    transferring(async (options) => {
      for (const location of [
        'ftp://127.0.0.1/',
        'file:///etc/passwd',
        'http://',
        'http://a:b:c/',
      ]) {
        await using server = await serveRaw((socket) => {
          socket.write(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`)
        })
        assert.equal(
          await codeOf(getInto(server.url, memory, options)),
          'NETMEM_HTTP_REDIRECTS',
          location,
        )
      }
      await using server = await serve((_, response) => response.writeHead(302).end())
      assert.equal(await codeOf(getInto(server.url, memory, options)), 'NETMEM_HTTP_STATUS')
    }))
})
