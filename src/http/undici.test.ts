import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { after, beforeEach, describe, it } from 'node:test'
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import { certificate, noTls } from '../net/harness.test.helper.ts'
import { some } from '../testing/pools.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { getInto } from './get-into.ts'
import {
  begins,
  codeOf,
  content,
  failure,
  freshFolder,
  listening,
  ranged,
  serve,
  serveRaw,
  sha256,
  type TestServer,
  transferring,
  withPool,
} from './http.test.helper.ts'
import { proxyFor } from './proxy.ts'

const NAMES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY']
const before = NAMES.map((name) => [name, process.env[name]] as const)

/** A proxy that notes what it is asked for. */
function proxying(asked: string[]): Promise<TestServer> {
  const proxy = http.createServer((request, response) => {
    asked.push(request.url ?? '')
    http.get(request.url ?? '', { headers: request.headers }, (from) => {
      response.writeHead(from.statusCode ?? 0, from.headers)
      from.pipe(response)
    })
  })
  proxy.on('connect', (request, socket: net.Socket, head) => {
    asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`)
    const [host, port] = (request.url ?? '').split(':')
    const upstream = net.connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.write(head)
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
  })
  return listening(proxy)
}

describe('what goes through undici', () => {
  beforeEach(() => {
    for (const name of NAMES) delete process.env[name]
  })
  after(() => {
    for (const [name, value] of before) if (value !== undefined) process.env[name] = value
  })

  const coders = {
    gzip: gzipSync,
    br: (bytes: Buffer) =>
      brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
    deflate: deflateSync,
    identity: (b: Buffer) => b,
  }
  for (const [coding, code] of Object.entries(coders)) {
    it(`is decoded from ${coding}, into each destination`, () =>
      transferring(async (options) => {
        const coded = code(content)
        await using server = await serve((request, response) => {
          assert.match(String(request.headers['accept-encoding']), /gzip/)
          response.writeHead(200, { 'content-encoding': coding, 'content-length': coded.length })
          response.end(coded)
        })
        const wish = { ...options, decompress: true, sha256: sha256(content) }
        const memory = new Uint8Array(content.length)
        await getInto(server.url, memory, wish)
        begins(memory, content)
        const { at } = freshFolder()
        await getInto(server.url, { path: at('f') }, wish)
        begins(readFileSync(at('f')), content)
        await withPool(async (pool) => {
          const { bytes } = await getInto(
            server.url,
            { pool, onFrag: (frag) => frag.release() },
            wish,
          )
          assert.equal(bytes, content.length)
        })
      }))
  }

  it('fails where it cannot be decoded, is coded otherwise, or breaks', () =>
    transferring(async (options) => {
      const wish = { ...options, decompress: true, retries: 1 }
      const memory = new Uint8Array(content.length)
      const coded = gzipSync(content)
      const answers = [
        ['gzip', Buffer.from('this is no gzip'), 'NETMEM_HTTP_PROTOCOL'],
        ['gzip', coded.subarray(0, coded.length - 100), 'NETMEM_HTTP_PROTOCOL'],
        ['zstd', coded, 'NETMEM_HTTP_CONTENT_CODING'],
      ] as const
      for (const [coding, body, code] of answers) {
        await using server = await serve((_, response) => {
          response.writeHead(200, { 'content-encoding': coding }).end(body)
        })
        assert.equal(await codeOf(getInto(server.url, memory, wish)), code)
      }
      await using server = await serveRaw((socket) => {
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\nless`)
      })
      assert.match(await codeOf(getInto(server.url, memory, wish)), /RESET|ENDED_EARLY/)
      await using silent = await serveRaw(() => {})
      const signal = AbortSignal.timeout(50)
      assert.equal(await codeOf(getInto(silent.url, memory, { ...wish, signal })), 'NETMEM_ABORTED')
      const hasty = { ...wish, headTimeoutMs: 50, retries: 0 }
      assert.equal(await codeOf(getInto(silent.url, memory, hasty)), 'NETMEM_TIMEOUT')
    }))

  it('comes whole, over one connection, where ranges were wanted and the server codes it', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.url === '/plain') ranged(request, response)
        else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(content))
      })
      const wish = { ...options, decompress: true, connections: 3, sha256: sha256(content) }
      for (const [path, expected] of [
        ['', 1],
        ['plain', 3],
      ] as const) {
        const memory = new Uint8Array(content.length)
        const { connections } = await getInto(server.url + path, memory, wish)
        assert.equal(connections, expected)
        begins(memory, content)
      }
    }))

  it('is aborted while it waits for memory', () =>
    transferring(async (options) => {
      await using server = await serve((_, response) => response.end(content))
      await withPool(async (pool) => {
        const held: Disposable[] = []
        const controller = new AbortController()
        const onFrag = (frag: Disposable): void => {
          held.push(frag)
          if (pool.available === 0) void turns().then(() => controller.abort())
        }
        const wish = { ...options, decompress: true, signal: controller.signal }
        assert.equal(await codeOf(getInto(server.url, { pool, onFrag }, wish)), 'NETMEM_ABORTED')
        assert.equal(pool.out, 2)
        for (const frag of held) frag[Symbol.dispose]()
      }, 2)
    }))

  it('goes through the proxy that the environment names', () =>
    transferring(async (options) => {
      const asked: string[] = []
      await using through = await proxying(asked)
      await using server = await serve((request, response) => ranged(request, response))
      const memory = new Uint8Array(content.length)
      const wish = { ...options, proxy: true, sha256: sha256(content) }
      for (const named of [through.url, new URL(through.url).host]) {
        process.env['http_proxy'] = named
        await getInto(server.url, memory.fill(0), wish)
        begins(memory, content)
      }
      assert.equal(asked.length, 2)
      await getInto(server.url, memory, { ...wish, proxy: false })
      process.env['no_proxy'] = '127.0.0.1'
      await getInto(server.url, memory, wish)
      assert.equal(asked.length, 2)
    }))

  it('goes through a tunnel of that proxy to https:', { skip: noTls }, () =>
    transferring(async (options) => {
      const asked: string[] = []
      await using through = await proxying(asked)
      const secure = https.createServer({ ...some(certificate) }, (request, response) => {
        assert.equal(request.headers.authorization, 'Bearer secret')
        assert.equal(request.headers['proxy-authorization'], undefined)
        ranged(request, response)
      })
      await using server = await listening(secure, 'https')
      process.env['HTTPS_PROXY'] = through.url.replace('//', '//me:pass@')
      const memory = new Uint8Array(content.length)
      const wish = { ...options, proxy: true, authorization: { bearer: 'secret' } }
      const tls = { ca: some(certificate).cert }
      await getInto(server.url, memory, { ...wish, tls, sha256: sha256(content) })
      begins(memory, content)
      const basic = `Basic ${Buffer.from('me:pass').toString('base64')}`
      assert.deepEqual(asked, [`CONNECT ${new URL(server.url).host} ${basic}`])
      assert.equal(await codeOf(getInto(server.url, memory, wish)), 'NETMEM_TLS')
    }),
  )

  it('says that the environment names no proxy, but not what it names', () =>
    transferring(async (options) => {
      for (const named of ['http://me:pass@:80:80', 'gopher://me:pass@127.0.0.1/']) {
        process.env['http_proxy'] = named
        const wish = { ...options, proxy: true }
        const error = await failure(getInto('http://127.0.0.1:1/', new Uint8Array(1), wish))
        assert.equal(error.code, 'NETMEM_INVALID_ARGUMENT')
        assert.match(error.message, /HTTP_PROXY/)
        assert.doesNotMatch(error.message, /pass/)
      }
    }))

  it('names a proxy that is not there', () =>
    transferring(async (options) => {
      const server = net.createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      assert.ok(typeof address === 'object' && address !== null)
      server.close()
      process.env['http_proxy'] = `http://127.0.0.1:${address.port}`
      const error = await failure(
        getInto('http://127.0.0.1:1/', new Uint8Array(1), { ...options, proxy: true }),
      )
      assert.equal(error.code, 'NETMEM_CONNECT_FAILED')
    }))
})

describe('the environment', () => {
  const http = 'http://p:1'
  const cases: [string, Record<string, string>, string | undefined][] = [
    ['http://a/', {}, undefined],
    ['http://a/', { http_proxy: http }, http],
    ['http://a/', { HTTP_PROXY: http }, http],
    ['http://a/', { HTTP_PROXY: http, REQUEST_METHOD: 'GET' }, undefined],
    ['http://a/', { http_proxy: '', HTTP_PROXY: http }, undefined],
    ['https://a/', { http_proxy: http }, undefined],
    ['https://a/', { HTTPS_PROXY: http }, http],
    ['https://a/', { HTTPS_PROXY: 'p:1' }, http],
    ['http://a/', { http_proxy: http, no_proxy: '*' }, undefined],
    ['http://a.b/', { http_proxy: http, no_proxy: 'x, b' }, undefined],
    ['http://a.b/', { http_proxy: http, no_proxy: '.b' }, undefined],
    ['http://ab/', { http_proxy: http, no_proxy: 'b' }, http],
    ['http://a/', { http_proxy: http, no_proxy: 'a:81' }, http],
    ['http://a:81/', { http_proxy: http, NO_PROXY: 'A:81' }, undefined],
    ['http://[::1]:81/', { http_proxy: http, no_proxy: '::1' }, undefined],
    ['http://[::1]/', { http_proxy: http, no_proxy: '[::1]:80' }, undefined],
  ]
  for (const [url, environment, expected] of cases) {
    it(`${JSON.stringify(environment)} says ${expected} for ${url}`, () => {
      assert.equal(proxyFor(new URL(url), environment), expected)
    })
  }
})
