import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { certificate, noTls } from '../../net/harness.test.helper.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import {
  begins,
  codeOf,
  content,
  failure,
  listening,
  ranged,
  serve,
  serveRaw,
  sha256,
  type TestServer,
  transferring,
  withPool,
} from '../http.test.helper.ts'
import { proxyFor } from './proxy.ts'

const NAMES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY']
const before = NAMES.map((name) => [name, process.env[name]] as const)

/** A proxy that notes what it is asked for, in plain HTTP or, given a certificate, in TLS. */
function proxying(asked: string[], secure?: https.ServerOptions): Promise<TestServer> {
  const forward: http.RequestListener = (request, response) => {
    asked.push(request.url ?? '')
    http
      .get(request.url ?? '', { headers: request.headers }, (from) => {
        response.writeHead(from.statusCode ?? 0, from.headers)
        from.pipe(response)
        from.once('close', () => from.complete || response.destroy())
      })
      .once('error', () => response.destroy())
  }
  const proxy = secure ? https.createServer(secure, forward) : http.createServer(forward)
  proxy.on('connect', (request, socket: net.Socket, head) => {
    asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`)
    const [host, port] = (request.url ?? '').split(':')
    const upstream = net.connect(Number(port), host, () => {
      socket.write('HTTP/1.1 204 Any success will do\r\n\r\n')
      upstream.write(head)
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
  })
  return listening(proxy, secure ? 'https' : 'http')
}

describe('a transfer through a proxy', () => {
  beforeEach(() => {
    for (const name of NAMES) delete process.env[name]
  })
  after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })

  it('is decoded, comes as it is, or fails, as without a proxy', () =>
    transferring(async (options) => {
      await using through = await proxying([])
      process.env['http_proxy'] = through.url
      const coded = gzipSync(content)
      await using server = await serve((request, response) => {
        const fields = { 'content-encoding': request.url?.slice(1) ?? '' }
        response.writeHead(200, { ...fields, 'content-length': coded.length }).end(coded)
      })
      const memory = new Uint8Array(coded.length)
      const wish = { ...options, proxy: true, retries: 0 }
      await getInto(`${server.url}gzip`, memory, { ...wish, decompress: true })
      begins(memory, content)
      const raw = await getInto(`${server.url}gzip`, memory.fill(0), { ...wish, raw: true })
      assert.equal(raw.bytes, coded.length)
      begins(memory, coded)
      for (const [coding, code] of [
        ['zstd', 'NETMEM_HTTP_CONTENT_CODING'],
        ['br', 'NETMEM_HTTP_PROTOCOL'],
      ] as const) {
        const got = getInto(`${server.url}${coding}`, memory, { ...wish, decompress: true })
        assert.equal(await codeOf(got), code)
      }
    }))

  it('fails where it breaks, is silent, or is aborted', () =>
    transferring(async (options) => {
      await using through = await proxying([])
      process.env['http_proxy'] = through.url
      const memory = new Uint8Array(content.length)
      const wish = { ...options, proxy: true, retries: 0 }
      await using server = await serveRaw((socket) => {
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\nless`)
      })
      assert.match(await codeOf(getInto(server.url, memory, wish)), /RESET|ENDED_EARLY/)
      const controller = new AbortController()
      await using silent = await serveRaw(() => controller.abort())
      const { signal } = controller
      assert.equal(await codeOf(getInto(silent.url, memory, { ...wish, signal })), 'NETMEM_ABORTED')
      const hasty = { ...wish, headTimeoutMs: 50 }
      assert.equal(await codeOf(getInto(silent.url, memory, hasty)), 'NETMEM_TIMEOUT')
    }))

  it('is aborted while it waits for memory', () =>
    transferring(async (options) => {
      await using through = await proxying([])
      process.env['http_proxy'] = through.url
      await using server = await serve((_, response) => response.end(content))
      await withPool(async (pool) => {
        const held: Disposable[] = []
        const controller = new AbortController()
        const onFrag = (frag: Disposable): void => {
          held.push(frag)
          if (pool.available === 0) void turns().then(() => controller.abort())
        }
        const wish = { ...options, proxy: true, signal: controller.signal }
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

  it('keeps its connections, to an origin and through a tunnel', { skip: noTls }, () =>
    transferring(async (options) => {
      const asked: string[] = []
      await using through = await proxying(asked)
      await using plain = await serve((request, response) => ranged(request, response))
      const secure = https.createServer({ ...some(certificate) }, (request, response) =>
        ranged(request, response),
      )
      await using server = await listening(secure, 'https')
      for (const name of ['http_proxy', 'https_proxy']) process.env[name] = through.url
      const wish = { ...options, proxy: true, tls: { ca: some(certificate).cert } }
      for (const url of [plain.url, server.url, plain.url, server.url]) {
        const memory = new Uint8Array(content.length)
        await getInto(url, memory, wish)
        begins(memory, content)
      }
      assert.equal(asked.filter((line) => line.startsWith('CONNECT')).length, 1)
      assert.equal(through.connections(), 2)
    }),
  )

  it('speaks TLS with a proxy that asks for it', { skip: noTls }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'netmem-'))
    const keys = some(certificate)
    const ca = join(folder, 'ca.pem')
    await writeFile(ca, keys.cert)
    const asked: string[] = []
    await using through = await proxying(asked, { ...keys })
    await using plain = await serve((_, response) => response.end('plain'))
    const inTls = https.createServer({ ...keys }, (_, response) => response.end('in TLS'))
    await using server = await listening(inTls, 'https')
    const program = `
      import { getInto } from ${JSON.stringify(new URL('../index.js', import.meta.url).href)}
      for (const url of process.argv.slice(1)) {
        const memory = new Uint8Array(6)
        const { bytes } = await getInto(url, memory, { proxy: true })
        console.log(Buffer.from(memory.subarray(0, bytes)).toString())
      }`
    // Node.js reads its certificates once, so a process that trusts this one starts anew.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', program, plain.url, server.url],
      { env: { NODE_EXTRA_CA_CERTS: ca, http_proxy: through.url, https_proxy: through.url } },
    ).finally(() => rm(folder, { recursive: true }))
    assert.equal(stdout, 'plain\nin TLS\n')
    assert.deepEqual(asked, [plain.url, `CONNECT ${new URL(server.url).host} undefined`])
  })

  it('fails where the proxy opens no tunnel, or none in time', () =>
    transferring(async (options) => {
      const memory = new Uint8Array(1)
      await using refusing = await serveRaw((socket) => {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
      })
      await using silent = await serveRaw(() => {})
      const wish = { ...options, proxy: true, connectTimeoutMs: 50, retries: 0 }
      for (const [proxy, code, words] of [
        [refusing, 'NETMEM_CONNECT_FAILED', /407.*credentials/],
        [silent, 'NETMEM_TIMEOUT', /50 ms/],
      ] as const) {
        process.env['https_proxy'] = proxy.url.replace('//', '//me:secret@')
        const error = await failure(getInto('https://127.0.0.1:1/', memory, wish))
        assert.equal(error.code, code)
        assert.match(error.message, words)
        assert.doesNotMatch(error.message, /secret/)
      }
    }))

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
      assert.equal(proxyFor(new URL(url), environment)?.origin, expected)
    })
  }
})
