import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { turns } from '../testing/waiting.test.helper.ts'
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
import { HttpError } from './http-error.ts'

describe('responses to getInto', () => {
  it('refuses memory that the body does not fit', () =>
    transferring(async (options) => {
      for (const handler of Object.values(framings)) {
        await using server = await serve(handler)
        const small = new Uint8Array(content.length - 1)
        assert.equal(
          await codeOf(getInto(server.url, small, options)),
          'NETMEM_DESTINATION_TOO_SMALL',
        )
      }
    }))

  const codings = ['gzip', 'br', 'zstd', 'gzip, gzip']

  it('refuses codings that were not asked for', () =>
    transferring(async (options) => {
      for (const coding of codings) {
        await using server = await serve((_, response) => {
          response.setHeader('content-encoding', coding)
          response.end('x')
        })
        const code = await codeOf(getInto(server.url, new Uint8Array(9), options))
        assert.equal(code, 'NETMEM_HTTP_CONTENT_CODING')
      }
    }))

  const heads = [
    ['two lengths in one field', 'HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nx'],
    ['two forms of one length', 'HTTP/1.1 200 OK\r\nContent-Length: 1, 01\r\n\r\nx'],
    ['a length and none', 'HTTP/1.1 200 OK\r\nContent-Length: 1,\r\n\r\nx'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'],
    ['a length that is negative', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx'],
    ['a length with a plus', 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx'],
    ['a length beyond 2^53', 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\nx'],
    ['no length at all', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nx'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [
      'another transfer coding',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'chunks twice',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'a chunk size that overflows',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx',
    ],
    ['a bare CR', 'HTTP/1.1 200 OK\r\nA: \r b\r\n\r\n'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
    ['another protocol', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n'],
    ['interim responses without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(20)],
  ] as const

  for (const [what, response] of heads) {
    it(`refuses ${what}, at once`, () =>
      transferring(async (options) => {
        let requests = 0
        await using server = await serveRaw((socket) => {
          requests++
          socket.write(response)
        })
        assert.equal(
          await codeOf(getInto(server.url, new Uint8Array(100), options)),
          'NETMEM_HTTP_PROTOCOL',
        )
        assert.equal(requests, 1)
      }))
  }

  it('takes a length that is said more than once', () =>
    transferring(async (options) => {
      for (const fields of ['Content-Length: 1\r\nContent-Length: 1', 'Content-Length: 1, 1']) {
        await using server = await serveRaw((socket) => {
          socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\nx`)
        })
        assert.equal((await getInto(server.url, new Uint8Array(1), options)).bytes, 1)
      }
    }))

  it('takes interim responses, and heads a byte at a time', () =>
    transferring(async (options) => {
      await using server = await serveRaw(async (socket) => {
        socket.setNoDelay(true)
        const text =
          'HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
        for (const byte of text) {
          socket.write(byte)
          await turns()
        }
      })
      const memory = new Uint8Array(5)
      await getInto(server.url, memory, options)
      begins(memory, Buffer.from('hello'))
    }))

  it('takes heads of 1 MiB where it is told to, and no others', () =>
    transferring(async (options) => {
      const field = `X: ${'a'.repeat(2 ** 20 - 100)}\r\n`
      await using server = await serveRaw((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${field}Content-Length: 1\r\n\r\nx`)
      })
      const memory = new Uint8Array(1)
      assert.equal(await codeOf(getInto(server.url, memory, options)), 'NETMEM_HTTP_HEAD_TOO_LARGE')
      const { head } = await getInto(server.url, memory, { ...options, maxHeadBytes: 2 ** 20 })
      assert.equal(head.headers.get('x')?.length, 2 ** 20 - 100)
    }))

  it('fails with the status of an error, without a body', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        response.writeHead(Number.parseInt(request.url?.slice(1) ?? '', 10)).end('an error page')
      })
      const { at, names } = freshFolder()
      for (const status of [304, 400, 401, 403, 404, 410, 501]) {
        const error = await failure(
          getInto(`${server.url}${status}?secret`, { path: at('f') }, options),
        )
        assert.ok(error instanceof HttpError)
        assert.deepEqual([error.code, error.status], ['NETMEM_HTTP_STATUS', status])
        assert.doesNotMatch(error.message, /secret/)
      }
      assert.deepEqual(names(), [])
    }))

  it('counts a body that breaks off from its first byte, wherever it goes', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket) => {
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n${'x'.repeat(70_000)}`)
      })
      const memory = new Uint8Array(90_000)
      await assert.rejects(getInto(server.url, memory, { ...options, retries: 0 }), {
        code: 'NETMEM_ENDED_EARLY',
        message: /70000 of 90000 bytes/,
      })
    }))
})
