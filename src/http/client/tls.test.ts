import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { describe, it } from 'node:test'
import tls from 'node:tls'
import { certificate, noTls } from '../../net/harness.test.helper.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { turns, VirtualClock } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import {
  begins,
  codeOf,
  content,
  freshFolder,
  listening,
  ranged,
  sha256,
  type TestServer,
  transferring,
  withPool,
} from '../http.test.helper.ts'

function secure(options: https.ServerOptions = {}): Promise<TestServer> {
  const server = https.createServer({ ...some(certificate), ...options }, (request, response) =>
    ranged(request, response),
  )
  return listening(server, 'https')
}

describe('https', { skip: noTls }, () => {
  it('brings the same bytes to each destination, on one connection each', () =>
    transferring(async (options) => {
      const wish = { ...options, tls: { ca: some(certificate).cert }, sha256: sha256(content) }
      await using server = await secure()
      for (const url of [server.url, server.url.replace('127.0.0.1', 'localhost')]) {
        const memory = new SharedArrayBuffer(content.length)
        const { timing } = await getInto(url, memory, wish)
        begins(memory, content)
        assert.ok(timing.tlsMs > 0 && timing.tlsMs < timing.connectMs, JSON.stringify(timing))
        assert.ok(timing.firstByteMs < timing.lastByteMs)
        const again = await getInto(url, memory, wish)
        assert.deepEqual([again.timing.connectMs, again.timing.tlsMs], [0, 0])
        await getInto(url, new Uint8Array(content.length), { ...wish, connections: 3 })
      }
      const { at } = freshFolder()
      await getInto(server.url, { path: at('f') }, wish)
      begins(readFileSync(at('f')), content)
      await withPool(async (pool) => {
        await getInto(server.url, { pool, onFrag: (frag) => frag.release() }, wish)
      })
    }))

  it('says how long the handshake took, without the time to connect', (t) =>
    transferring(async (options) => {
      const clock = new VirtualClock(t)
      await using server = await secure()
      const { port } = new URL(server.url)
      let handshakeMs = 80
      const way = net.createServer((socket) => {
        const onward = net.connect(Number(port), '127.0.0.1')
        socket.on('error', () => {})
        onward.on('error', () => {})
        onward.pipe(socket)
        // The client has begun the handshake.
        socket.once('readable', () => {
          clock.advance(handshakeMs)
          socket.pipe(onward)
        })
      })
      await using delayed = await listening(way, 'https')
      const wish = { ...options, keepAlive: false, tls: { ca: some(certificate).cert } }
      for (handshakeMs of [80, 3]) {
        const { timing } = await getInto(delayed.url, new Uint8Array(content.length), wish)
        assert.deepEqual([timing.tlsMs, timing.connectMs], [handshakeMs, handshakeMs])
      }
    }))

  it('refuses certificates of unknown authorities, and those of other names, at once', () =>
    transferring(async (options) => {
      await using server = await secure()
      const memory = new Uint8Array(content.length)
      assert.equal(await codeOf(getInto(server.url, memory, options)), 'NETMEM_TLS')
      const { cert } = some(certificate)
      assert.ok(new X509Certificate(cert).checkHost('localhost'))
      const other = { ca: cert, servername: 'other.example' }
      assert.equal(
        await codeOf(getInto(server.url, memory, { ...options, tls: other })),
        'NETMEM_TLS',
      )
      assert.equal(server.connections(), 2, 'no second attempt')
    }))

  it('does not share connections between different ideas of trust', () =>
    transferring(async (options) => {
      await using server = await secure()
      const memory = new Uint8Array(content.length)
      await getInto(server.url, memory, { ...options, tls: { ca: some(certificate).cert } })
      assert.equal(options.keepAlive.idle, 1)
      assert.equal(await codeOf(getInto(server.url, memory, options)), 'NETMEM_TLS')
    }))

  it('shows a client certificate to the first origin alone', () =>
    transferring(async (options) => {
      const shown: boolean[] = []
      const server = (location: string): https.Server =>
        https.createServer(
          { ...some(certificate), requestCert: true, rejectUnauthorized: false },
          (request, response) => {
            const { socket } = request
            shown.push(
              socket instanceof tls.TLSSocket && socket.getPeerX509Certificate() !== undefined,
            )
            if (location === '') response.end('there')
            else response.writeHead(302, { location }).end()
          },
        )
      await using second = await listening(server(''), 'https')
      await using first = await listening(server(second.url), 'https')
      const security = { ...some(certificate), ca: some(certificate).cert }
      const memory = new Uint8Array(9)
      for (let i = 0; i < 2; i++) {
        await getInto(first.url, memory, { ...options, tls: security })
        begins(memory, Buffer.from('there'))
      }
      assert.deepEqual(shown, [true, false, true, false])
      assert.deepEqual([first.connections(), second.connections()], [1, 1])
    }))

  it('offers http/1.1 alone', () =>
    transferring(async (options) => {
      let offered: readonly string[] = []
      const ALPNCallback = ({
        protocols,
      }: {
        readonly protocols: string[]
      }): string | undefined => {
        offered = protocols
        return protocols[0]
      }
      await using server = await secure({ ALPNCallback })
      const memory = new Uint8Array(content.length)
      await getInto(server.url, memory, { ...options, tls: { ca: some(certificate).cert } })
      assert.deepEqual(offered, ['http/1.1'])
    }))

  it('resumes when a TLS connection breaks', () =>
    transferring(async (options) => {
      let count = 0
      const server = https.createServer({ ...some(certificate) }, (request, response) => {
        if (++count > 1) {
          ranged(request, response)
          return
        }
        response.writeHead(200, { etag: '"1"', 'content-length': content.length })
        response.write(
          content.subarray(0, 1_000_000),
          () => void turns().then(() => response.destroy()),
        )
      })
      await using running = await listening(server, 'https')
      const memory = new Uint8Array(content.length)
      const wish = { ...options, tls: { ca: some(certificate).cert }, sha256: sha256(content) }
      const { retries } = await getInto(running.url, memory, wish)
      assert.equal(retries, 1)
      begins(memory, content)
    }))

  it('is not waited for beyond a limit or an abort, where the server says nothing', () =>
    transferring(async (options) => {
      const silent = net.createServer((socket) => socket.on('error', () => {}).resume())
      await using server = await listening(silent, 'https')
      const memory = new Uint8Array(1)
      const { at, names } = freshFolder()
      for (const destination of [memory, { path: at('f') }]) {
        const wish = { ...options, retries: 0 }
        const late = getInto(server.url, destination, { ...wish, connectTimeoutMs: 50 })
        assert.equal(await codeOf(late), 'NETMEM_TIMEOUT')
        const signal = AbortSignal.timeout(50)
        const aborted = getInto(server.url, destination, { ...wish, signal })
        assert.equal(await codeOf(aborted), 'NETMEM_ABORTED')
      }
      assert.deepEqual(names(), [])
      assert.ok(server.connections() <= 4, 'no second attempt')
    }))

  it('fails with a server that speaks no TLS', () =>
    transferring(async (options) => {
      await using server = await listening(
        tls.createServer({ ...some(certificate) }).on('tlsClientError', () => {}),
      )
      const code = await codeOf(getInto(server.url, new Uint8Array(1), { ...options, retries: 0 }))
      assert.match(code, /^NETMEM_(HTTP_PROTOCOL|ENDED_EARLY|CONNECTION_RESET)$/)
    }))
})
