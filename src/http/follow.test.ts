import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { getInto } from './get-into.ts'
import { begins, codeOf, serve, serveRaw, transferring } from './http.test.helper.ts'

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
            assert.equal(request.headers['x-other'], 'c')
          }
        }
      }
    }))

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
