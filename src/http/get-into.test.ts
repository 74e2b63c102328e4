import assert from 'node:assert/strict'
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import type http from 'node:http'
import net from 'node:net'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { turns, until, VirtualClock } from '../testing/waiting.test.helper.ts'
import { getInto } from './get-into.ts'
import {
  begins,
  codeOf,
  content,
  failure,
  freshFolder,
  ranged,
  serve,
  serveRaw,
  sha256,
  transferring,
  withPool,
} from './http.test.helper.ts'
import { HttpError } from './http-error.ts'

/** All of the content, framed in each of the three ways. */
const framings = {
  length: (_: http.IncomingMessage, response: http.ServerResponse) => {
    response.writeHead(200, { 'content-length': content.length }).end(content)
  },
  chunked: (_: http.IncomingMessage, response: http.ServerResponse) => {
    for (let at = 0; at < content.length; at += 70_000)
      response.write(content.subarray(at, at + 70_000))
    response.end()
  },
  'small chunks': (_: http.IncomingMessage, response: http.ServerResponse) => {
    for (let at = 0; at < content.length; at += 997) response.write(content.subarray(at, at + 997))
    response.end()
  },
  close: (_: http.IncomingMessage, response: http.ServerResponse) => {
    response.removeHeader('transfer-encoding')
    response.sendDate = false
    response.socket?.end(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), content]))
  },
}

describe('getInto', () => {
  for (const [framing, handler] of Object.entries(framings)) {
    it(`fills memory of every kind, framed by ${framing}`, () =>
      transferring(async (options) => {
        await using server = await serve(handler)
        const size = content.length
        const wish = { ...options, sha256: sha256(content) }
        for (const memory of [
          new Uint8Array(size),
          new ArrayBuffer(size),
          new SharedArrayBuffer(size + 9),
        ]) {
          const { bytes, sha256: digest, head } = await getInto(server.url, memory, wish)
          assert.deepEqual([bytes, digest, head.status], [size, wish.sha256, 200])
          begins(memory, content)
        }
        const within = new Uint8Array(size + 20)
        await getInto(server.url, within.subarray(10, 10 + size), wish)
        begins(within.subarray(10), content)
        assert.deepEqual([within[9], within[size + 10]], [0, 0], 'nothing beside it')
      }))

    it(`fills memory made for the head, a file and a pool, framed by ${framing}`, () =>
      transferring(async (options) => {
        await using server = await serve(handler)
        const wish = { ...options, sha256: true }
        const memory = new Uint8Array(content.length)
        let announced: number | undefined = -1
        await getInto(
          server.url,
          (head, length) => {
            assert.equal(head.status, 200)
            announced = length
            return memory
          },
          wish,
        )
        begins(memory, content)
        assert.equal(announced, framing === 'length' ? content.length : undefined)

        const { at, names } = freshFolder()
        await withPool(async (pool) => {
          const { sha256: digest } = await getInto(server.url, { path: at('file'), pool }, wish)
          assert.equal(digest, sha256(content))
        })
        begins(readFileSync(at('file')), content)
        await getInto(server.url, { path: at('again') }, wish)
        assert.deepEqual(names(), ['again', 'file'])

        await withPool(async (pool) => {
          const held: Buffer[] = []
          const { bytes, sha256: digest } = await getInto(
            server.url,
            {
              pool,
              onFrag: async (frag, position) => {
                assert.equal(
                  position,
                  held.reduce((sum, { length }) => sum + length, 0),
                )
                await setImmediate()
                held.push(Buffer.from(frag.bytes))
                frag.release()
              },
            },
            { ...wish, onHead: ({ status }) => assert.equal(status, 200) },
          )
          assert.deepEqual([bytes, digest], [content.length, sha256(content)])
          assert.equal(Buffer.compare(Buffer.concat(held), content), 0)
        })
      }))
  }

  it('bodies without bytes are bodies', () =>
    transferring(async (options) => {
      const { at } = freshFolder()
      for (const status of [200, 204]) {
        await using server = await serve((_, response) => response.writeHead(status).end())
        const { bytes } = await getInto(server.url, new Uint8Array(0), options)
        assert.equal(bytes, 0)
        const { sha256: digest } = await getInto(
          server.url,
          { path: at('f') },
          { ...options, sha256: true },
        )
        assert.equal(digest, sha256(Buffer.alloc(0)))
        assert.equal(readFileSync(at('f')).length, 0)
      }
    }))

  it('uses a connection again, and a fresh one where that was closed meanwhile', () =>
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

  it('sends what it was told, and nothing that could be taken for more', () =>
    transferring(async (options) => {
      let request = ''
      await using server = await serveRaw((socket, text) => {
        request = text
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      })
      const memory = new Uint8Array(0)
      const headers = { 'X-A': 'b c', Accept: 'text/plain' }
      const authorization = { username: 'me', password: 'a:b ö' }
      await getInto(`${server.url}a b?c=d#e`, memory, { ...options, headers, authorization })
      assert.match(request, /^GET \/a%20b\?c=d HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/)
      assert.match(request, /^X-A: b c\r$/m)
      assert.match(request, /^Accept: text\/plain\r$/m)
      assert.match(request, /^Accept-Encoding: identity\r$/m)
      const basic = Buffer.from('me:a:b ö').toString('base64')
      assert.ok(request.includes(`Authorization: Basic ${basic}\r\n`))
      await getInto(server.url, memory, { ...options, authorization: { bearer: 'tok-en==' } })
      assert.match(request, /^Authorization: Bearer tok-en==\r$/m)
      await getInto(server.url.replace('//', '//u%40:p@'), memory, options)
      assert.ok(request.includes(`Authorization: Basic ${Buffer.from('u@:p').toString('base64')}`))
    }))

  it('refuses arguments that make no sense', async () => {
    const memory = new Uint8Array(1)
    const url = 'http://127.0.0.1:1/'
    const wrong: [string | URL, unknown, unknown][] = [
      ['/relative', memory, {}],
      ['ftp://127.0.0.1/', memory, {}],
      [url, 'memory', {}],
      [url, { path: 7 }, {}],
      [url, { pool: {}, onFrag: () => {} }, {}],
      [url, memory, { headers: { 'X-A': 'b\r\nX-B: c' } }],
      [url, memory, { headers: { 'X A': 'b' } }],
      [url, memory, { headers: { 'X-A': 'ö' } }],
      [url, memory, { headers: { Range: 'bytes=0-1' } }],
      [url, memory, { authorization: { bearer: 'a\nb' } }],
      [url, memory, { authorization: { username: 'a:b', password: '' } }],
      [url, memory, { sha256: 'abc' }],
      [url, memory, { onChange: 'perhaps' }],
      [url, { path: '' }, {}],
      [url, { path: 'a\0b' }, {}],
      [url, memory, { headers: new Headers({ 'X-A': 'b' }) }],
      [url, memory, { headers: new Map([['X-A', 'b']]) }],
      [url, memory, { headers: [['X-A', 'b']] }],
      [url, memory, { headers: null }],
      [url, memory, { authorization: 'Bearer b' }],
      [url, memory, { authorization: null }],
      [url, memory, { signal: new AbortController() }],
      [url, memory, { keepAlive: 'always' }],
      [url, memory, { keepAlive: null }],
      [url, memory, { onHead: 1 }],
      [url, memory, { onProgress: {} }],
      [url, memory, null],
      [url, memory, 5],
      [url, memory, { wakeBatching: 5 }],
    ]
    for (const [where, destination, options] of wrong) {
      const call: unknown = Reflect.apply(getInto, undefined, [where, destination, options])
      assert.ok(call instanceof Promise)
      assert.equal(await codeOf(call), 'NETMEM_INVALID_ARGUMENT')
    }
    for (const options of [{ retries: -1 }, { connections: 0 }, { maxHeadBytes: 2 ** 21 }]) {
      assert.equal(await codeOf(getInto(url, memory, options)), 'NETMEM_OUT_OF_RANGE')
    }
  })

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
      // 192.0.2.0/24 is for documentation: nobody answers, or the network says so.
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

  it('reports progress, and fails with what the callback throws', () =>
    transferring(async (options) => {
      await using server = await serve(framings.length)
      const memory = new Uint8Array(content.length)
      let last = 0
      await getInto(server.url, memory, {
        ...options,
        onProgress: (bytes) => {
          assert.ok(bytes > last)
          last = bytes
        },
      })
      assert.equal(last, content.length)
      const wrong = new Error('wrong')
      const onProgress = (): void => {
        throw wrong
      }
      await assert.rejects(getInto(server.url, memory, { ...options, onProgress }), wrong)
    }))

  it('fails with what a destination throws', () =>
    transferring(async (options) => {
      await using server = await serve(framings.length)
      const wrong = new Error('wrong')
      const fails = (): never => {
        throw wrong
      }
      await assert.rejects(getInto(server.url, fails, options), wrong)
      await withPool(async (pool) => {
        const onFrag = (frag: Disposable): never => {
          frag[Symbol.dispose]()
          throw wrong
        }
        await assert.rejects(getInto(server.url, { pool, onFrag }, options), wrong)
      })
    }))

  it('notices memory that is detached in mid-transfer', () =>
    transferring(async (options) => {
      await using server = await serve(async (_, response) => {
        response.writeHead(200, { 'content-length': content.length, etag: '"1"' })
        for (let at = 0; at < content.length; at += 300_000) {
          response.write(content.subarray(at, at + 300_000))
          await turns()
        }
        response.end()
      })
      const memory = new Uint8Array(new ArrayBuffer(content.length))
      const code = await codeOf(
        getInto(server.url, memory, {
          ...options,
          sha256: true,
          onProgress: (bytes) => {
            if (bytes > 1_000_000 && memory.byteLength > 0)
              structuredClone(memory.buffer, { transfer: [memory.buffer] })
          },
        }),
      )
      assert.equal(code, 'NETMEM_DESTINATION_DETACHED')
    }))

  for (const framed of ['by its length', 'in chunks']) {
    it(`notices memory that moves at the first progress of a body ${framed}`, () =>
      transferring(async (options) => {
        await using server = await serve((_, response) => {
          if (framed === 'by its length') response.setHeader('content-length', content.length)
          // Head and body arrive in one read.
          response.end(content)
        })
        const memory = new Uint8Array(new ArrayBuffer(content.length))
        const onProgress = (): void => {
          if (memory.byteLength > 0) structuredClone(memory.buffer, { transfer: [memory.buffer] })
        }
        const code = await codeOf(
          getInto(server.url, memory, { ...options, retries: 0, onProgress }),
        )
        assert.equal(code, 'NETMEM_DESTINATION_DETACHED')
      }))
  }

  it('bounds memory by the pool, and does not blame the server for a slow consumer', (t) =>
    transferring(async (options) => {
      const clock = new VirtualClock(t)
      await using server = await serve(framings.length)
      await withPool(async (pool) => {
        let slow = true
        const { bytes } = await getInto(
          server.url,
          {
            pool,
            onFrag: async (frag) => {
              if (slow) {
                slow = false
                await turns()
                clock.advance(150)
                await turns()
              }
              assert.ok(pool.out <= 2)
              frag.release()
            },
          },
          { ...options, stallTimeoutMs: 50 },
        )
        assert.equal(bytes, content.length)
      }, 2)
    }))

  it('keeps to a rate', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) =>
        ranged(request, response, content.subarray(0, 300_000)),
      )
      const began = performance.now()
      const wish = { ...options, maxBytesPerSecond: 1_000_000 }
      await getInto(server.url, new Uint8Array(300_000), wish)
      await withPool(async (pool) => {
        await getInto(server.url, { pool, onFrag: (frag) => frag.release() }, wish)
      })
      const ms = performance.now() - began
      assert.ok(ms > 300, `${ms}`)
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

  it('a file that is there is replaced when its successor is complete, through links', () =>
    transferring(async (options) => {
      await using server = await serve((request, response) => {
        if (request.url === '/404') response.writeHead(404).end()
        else response.end('new')
      })
      const { at, names } = freshFolder()
      writeFileSync(at('file'), 'old')
      symlinkSync(at('file'), at('link'))
      assert.equal(
        await codeOf(getInto(`${server.url}404`, { path: at('file') }, options)),
        'NETMEM_HTTP_STATUS',
      )
      assert.equal(readFileSync(at('file'), 'utf8'), 'old')
      await getInto(server.url, { path: at('link') }, options)
      assert.equal(readFileSync(at('file'), 'utf8'), 'new')
      assert.deepEqual(names(), ['file', 'link'])
      symlinkSync('later', at('early'))
      await getInto(server.url, { path: at('early') }, options)
      assert.deepEqual(names(), ['early', 'file', 'later', 'link'])
      assert.equal(readFileSync(at('later'), 'utf8'), 'new')
      chmodSync(at('file'), 0o600)
      await getInto(server.url, { path: at('file') }, options)
      assert.equal(statSync(at('file')).mode & 0o777, 0o600, 'nobody else may read it now')
    }))
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

describe('getInto, told the wrong thing', () => {
  it('takes no word for true or false, and says where resume belongs', async () => {
    for (const name of ['allowDowngrade', 'touchAhead', 'decompress', 'raw', 'proxy']) {
      const options: object = { [name]: 'no' }
      assert.equal(
        await codeOf(getInto('http://127.0.0.1:1/', new Uint8Array(1), options)),
        'NETMEM_INVALID_ARGUMENT',
      )
    }
    const misplaced: object = { resume: true }
    await assert.rejects(getInto('http://127.0.0.1:1/', new Uint8Array(1), misplaced), {
      code: 'NETMEM_INVALID_ARGUMENT',
      message: 'resume belongs to the destination: { path, resume: true }.',
    })
  })

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
