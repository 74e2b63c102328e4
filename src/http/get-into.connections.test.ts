import assert from 'node:assert/strict'
import net from 'node:net'
import { describe, it } from 'node:test'
import { until } from '../testing/waiting.test.helper.ts'
import { framings } from './framings.test.helper.ts'
import { getInto } from './get-into.ts'
import {
  begins,
  codeOf,
  content,
  failure,
  freshFolder,
  serve,
  serveRaw,
  transferring,
} from './http.test.helper.ts'

describe('connections of getInto', () => {
  it('uses a connection again, and a fresh one where the server has closed that', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        response.end(content.subarray(0, 4096))
        if (request.url === '/last') response.on('finish', () => request.socket.destroy())
      })
      const memory = new Uint8Array(4096)
      const first = await getInto(server.url, memory, options)
      assert.ok(first.timing.connectMs > 0)
      for (let i = 0; i < 20; i++) {
        const { timing } = await getInto(server.url, memory.fill(0), options)
        assert.equal(timing.connectMs, 0)
        begins(memory, content.subarray(0, 4096))
      }
      assert.equal(server.connections(), 1)
      await getInto(`${server.url}last`, memory, options)
      await getInto(server.url, memory, options)
      assert.equal(server.connections(), 2)
      await getInto(server.url, memory, { ...options, keepAlive: false })
      assert.equal(server.connections(), 3)
      assert.equal(options.keepAlive.idle, 1)
    }))

  it('a resting connection that says something is dropped', () =>
    transferring(async (options) => {
      const sockets: net.Socket[] = []
      await using server = await serveRaw((socket) => {
        sockets.push(socket)
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      })
      const memory = new Uint8Array(2)
      await getInto(server.url, memory, options)
      assert.equal(options.keepAlive.idle, 1)
      sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno')
      await until(() => options.keepAlive.idle === 0, 'it is dropped')
      await getInto(server.url, memory, options)
      begins(memory, Buffer.from('ok'))
      assert.equal(server.connections(), 2)
    }))

  it('does not keep a connection on which more came than the body', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n')
      })
      const memory = new Uint8Array(9)
      for (let i = 0; i < 3; i++) {
        const { bytes } = await getInto(server.url, memory, options)
        assert.equal(bytes, 2)
        begins(memory, Buffer.from('ok\0\0'))
      }
      await until(() => options.keepAlive.idle === 0, 'none is kept')
      assert.equal(server.connections(), 3)
    }))

  it('is aborted before, while it connects, waits and receives', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.url === '/silent') return
        response.writeHead(200, { 'content-length': content.length })
        response.write(content.subarray(0, 100_000))
      })
      const aborted = AbortSignal.abort(new Error('why'))
      const memory = new Uint8Array(content.length)
      const error = await failure(getInto(server.url, memory, { ...options, signal: aborted }))
      assert.deepEqual([error.code, error.name], ['NETMEM_ABORTED', 'AbortError'])
      for (const path of ['silent', '']) {
        const signal = AbortSignal.timeout(30)
        const { at, names } = freshFolder()
        assert.equal(
          await codeOf(getInto(server.url + path, memory, { ...options, signal })),
          'NETMEM_ABORTED',
        )
        assert.equal(
          await codeOf(
            getInto(
              server.url + path,
              { path: at('f') },
              { ...options, signal: AbortSignal.timeout(30) },
            ),
          ),
          'NETMEM_ABORTED',
        )
        assert.deepEqual(names(), [])
      }
      // 192.0.2.0/24 is for documentation: no host answers, or the network says so.
      const code = await codeOf(
        getInto('http://192.0.2.1/', memory, { ...options, signal: AbortSignal.timeout(20) }),
      )
      assert.ok(code === 'NETMEM_ABORTED' || code === 'NETMEM_CONNECT_FAILED', code)
    }))

  it('a signal that aborts after the transfer does not touch the connection', () =>
    transferring(async (options) => {
      await using server = await serve((_, response) => response.end('x'))
      const controller = new AbortController()
      await getInto(server.url, new Uint8Array(1), { ...options, signal: controller.signal })
      controller.abort()
      await getInto(server.url, new Uint8Array(1), options)
      assert.equal(server.connections(), 1)
    }))

  it('reaches IPv6 and names', { skip: noIpv6() }, () =>
    transferring(async (options) => {
      await using server = await serve(framings.length)
      const v6 = net.createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nv6'))
      })
      await new Promise<void>((resolve) => v6.listen(0, '::1', resolve))
      const address = v6.address()
      assert.ok(typeof address === 'object' && address !== null)
      const memory = new Uint8Array(content.length)
      await getInto(`http://[::1]:${address.port}/`, memory, options)
      begins(memory, Buffer.from('v6'))
      await getInto(server.url.replace('127.0.0.1', 'localhost'), memory, options)
      begins(memory, content)
      v6.close()
    }),
  )
})

function noIpv6(): string | false {
  const server = net.createServer()
  try {
    server.listen(0, '::1').close()
    return false
  } catch {
    return 'this machine has no ::1'
  }
}
