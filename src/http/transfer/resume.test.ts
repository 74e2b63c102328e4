import assert from 'node:assert/strict'
import { existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type net from 'node:net'
import { describe, it } from 'node:test'
import { turns, VirtualClock } from '../../testing/waiting.test.helper.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { getInto } from '../get-into.ts'
import {
  begins,
  codeOf,
  content,
  failure,
  firstOf,
  freshFolder,
  ranged,
  serve,
  serveRaw,
  sha256,
  transferring,
  withPool,
} from '../http.test.helper.ts'

const SIZE = content.length
const OTHER = Buffer.from(content).reverse()

/** The head of content from `first` on, all of it or a part. */
function headFrom(first: number, { etag = '"1"', total = SIZE } = {}): string {
  const fields = `ETag: ${etag}\r\nAccept-Ranges: bytes\r\nContent-Length: ${total - first}\r\n`
  return first === 0
    ? `HTTP/1.1 200 OK\r\n${fields}\r\n`
    : `HTTP/1.1 206 Partial Content\r\n${fields}Content-Range: bytes ${first}-${total - 1}/${total}\r\n\r\n`
}

/** Sends a third of what is asked for, and then ends badly, until the third attempt. */
function breaks(end: (socket: net.Socket) => void) {
  return (socket: net.Socket, request: string, count: number): void => {
    const first = firstOf(request)
    if (first > 0) assert.match(request, /^if-range: "1"\r$/im)
    socket.write(headFrom(first))
    if (count >= 3) socket.write(content.subarray(first))
    else socket.write(content.subarray(first, first + 1_000_000), () => end(socket))
  }
}

const ends: Record<string, (socket: net.Socket) => void> = {
  closes: (socket) => void socket.end(),
  // When all that was sent has been read: a reset that closely follows data may pass for an end.
  resets: (socket) => void turns().then(() => socket.resetAndDestroy()),
  stalls: () => {},
}

describe('a transfer that breaks', () => {
  for (const [what, end] of Object.entries(ends)) {
    it(`goes on when the server ${what}, into memory, a file and a pool`, () =>
      transferring(async (options) => {
        const stalls = what === 'stalls'
        const wish = { ...options, sha256: sha256(content), ...(stalls && { stallTimeoutMs: 200 }) }
        // On a busy machine more may pass for a stall than what is meant as one.
        const enough = (retries: number): boolean => retries === 2 || (stalls && retries > 2)
        {
          await using server = await serveRaw(breaks(end))
          const memory = new SharedArrayBuffer(SIZE)
          const { bytes, retries } = await getInto(server.url, memory, wish)
          assert.equal(bytes, SIZE)
          assert.ok(enough(retries), `${retries}`)
          begins(memory, content)
        }
        {
          await using server = await serveRaw(breaks(end))
          const { at, names } = freshFolder()
          const { retries } = await getInto(server.url, { path: at('f') }, wish)
          assert.ok(enough(retries), `${retries}`)
          begins(readFileSync(at('f')), content)
          assert.deepEqual(names(), ['f'])
        }
        await using server = await serveRaw(breaks(end))
        await withPool(async (pool) => {
          const parts: Buffer[] = []
          await getInto(
            server.url,
            {
              pool,
              onFrag: (frag) => {
                parts.push(Buffer.from(frag.bytes))
                frag.release()
              },
            },
            wish,
          )
          assert.equal(Buffer.compare(Buffer.concat(parts), content), 0)
        })
      }))

    it(`fails when the server ${what} too often, and leaves nothing`, () =>
      transferring(async (options) => {
        await using server = await serveRaw((socket, request) => {
          const first = firstOf(request)
          socket.write(headFrom(first))
          socket.write(content.subarray(first, first + 10_000), () => end(socket))
        })
        const { at, names } = freshFolder()
        const wish = { ...options, retries: 2, ...(what === 'stalls' && { stallTimeoutMs: 100 }) }
        const code = await codeOf(getInto(server.url, { path: at('f') }, wish))
        const expected = {
          closes: 'NETMEM_ENDED_EARLY',
          resets: 'NETMEM_CONNECTION_RESET',
          stalls: 'NETMEM_TIMEOUT',
        }
        assert.equal(code, Reflect.get(expected, what))
        assert.deepEqual(names(), [])
      }))
  }

  it('is not complete where a chunked body breaks off, and goes on there, too', () =>
    transferring(async (options) => {
      let requests = 0
      await using server = await serve((request, response) => {
        requests++
        if (request.headers.range === undefined) {
          response.writeHead(200, { etag: '"1"' })
          response.write(
            content.subarray(0, 500_000),
            () => void turns().then(() => response.destroy()),
          )
        } else ranged(request, response)
      })
      const memory = new Uint8Array(SIZE)
      const { bytes } = await getInto(server.url, memory, { ...options, sha256: sha256(content) })
      assert.deepEqual([bytes, requests], [SIZE, 2])
      begins(memory, content)
    }))

  it('begins again where nobody can tell whether the rest is of the same body', () =>
    transferring(async (options) => {
      // Not a second older than the answer, however long the test takes.
      const soon = new Date(Date.now() + 600_000).toUTCString()
      const handlers = [{}, { etag: 'W/"1"' }, { 'last-modified': soon }]
      for (const headers of handlers) {
        let requests = 0
        const handler = serve((request, response) => {
          assert.equal(request.headers.range, undefined)
          response.writeHead(200, { 'content-length': SIZE, ...headers })
          if (++requests % 2 === 0) response.end(content)
          else
            response.write(
              content.subarray(0, 500_000),
              () => void turns().then(() => response.destroy()),
            )
        })
        await using server = await handler
        const memory = new Uint8Array(SIZE)
        await getInto(server.url, memory, { ...options, sha256: sha256(content) })
        begins(memory, content)
        assert.equal(requests, 2)
        await withPool(async (pool) => {
          const code = await codeOf(
            getInto(server.url, { pool, onFrag: (frag) => frag.release() }, options),
          )
          assert.match(
            code,
            /^NETMEM_(ENDED_EARLY|CONNECTION_RESET)$/,
            'what was handed out cannot be taken back',
          )
        })
      }
    }))

  it('goes on by date where that is a good validator', () =>
    transferring(async (options) => {
      const date = new Date(Date.now() - 60_000).toUTCString()
      let requests = 0
      await using server = await serve((request, response) => {
        response.setHeader('last-modified', date)
        if (++requests === 1) {
          response.writeHead(200, { 'content-length': SIZE })
          response.write(
            content.subarray(0, 500_000),
            () => void turns().then(() => response.destroy()),
          )
          return
        }
        assert.equal(request.headers['if-range'], date)
        const first = Number(/\d+/.exec(request.headers.range ?? '')?.[0])
        response.writeHead(206, {
          'content-range': `bytes ${first}-${SIZE - 1}/${SIZE}`,
          'content-length': SIZE - first,
        })
        response.end(content.subarray(first))
      })
      const memory = new Uint8Array(SIZE)
      await getInto(server.url, memory, options)
      begins(memory, content)
      assert.equal(requests, 2)
    }))

  it('takes all again from a server that ignores ranges', () =>
    transferring(async (options) => {
      const ignoring = (socket: net.Socket, _: string, count: number): void => {
        socket.write(headFrom(0))
        if (count % 2 === 0) socket.write(content)
        else socket.write(content.subarray(0, 1_000_000), () => socket.end())
      }
      await using server = await serveRaw(ignoring)
      const wish = { ...options, sha256: sha256(content) }
      const memory = new Uint8Array(SIZE)
      await getInto(server.url, memory, wish)
      begins(memory, content)
      await withPool(async (pool) => {
        const parts: Buffer[] = []
        const { bytes } = await getInto(
          server.url,
          {
            pool,
            onFrag: (frag, position) => {
              assert.equal(
                position,
                parts.reduce((sum, { length }) => sum + length, 0),
              )
              parts.push(Buffer.from(frag.bytes))
              frag.release()
            },
          },
          wish,
        )
        assert.equal(bytes, SIZE)
        assert.equal(Buffer.compare(Buffer.concat(parts), content), 0)
      })
    }))

  for (const status of [200, 206, 416]) {
    it(`fails or restarts when the body has changed, told by ${status}`, () =>
      transferring(async (options) => {
        const changing = (socket: net.Socket, request: string, count: number): void => {
          const first = firstOf(request)
          if (count % 3 === 1) {
            socket.write(headFrom(0))
            socket.write(content.subarray(0, 1_000_000), () => socket.end())
          } else if (first > 0 && status === 206) {
            socket.write(headFrom(first, { etag: '"2"' }))
            socket.write(OTHER.subarray(first))
          } else if (first > 0 && status === 416) {
            socket.write('HTTP/1.1 416 No\r\nContent-Range: bytes */9\r\nContent-Length: 0\r\n\r\n')
          } else {
            socket.write(headFrom(0, { etag: '"2"' }))
            socket.write(OTHER)
          }
        }
        {
          await using server = await serveRaw(changing)
          const memory = new Uint8Array(SIZE)
          assert.equal(await codeOf(getInto(server.url, memory, options)), 'NETMEM_HTTP_CHANGED')
        }
        for (const kind of ['memory', 'file']) {
          await using server = await serveRaw(changing)
          const memory = new Uint8Array(SIZE)
          const { at, names } = freshFolder()
          const wish = { ...options, onChange: 'restart', sha256: sha256(OTHER) } as const
          await getInto(server.url, kind === 'memory' ? memory : { path: at('f') }, wish)
          begins(kind === 'memory' ? memory : readFileSync(at('f')), OTHER)
          assert.deepEqual(names(), kind === 'memory' ? [] : ['f'])
        }
        await using server = await serveRaw(changing)
        await withPool(async (pool) => {
          const onFrag = (frag: Disposable): void => frag[Symbol.dispose]()
          const code = await codeOf(
            getInto(server.url, { pool, onFrag }, { ...options, onChange: 'restart' }),
          )
          assert.equal(code, 'NETMEM_HTTP_CHANGED')
        })
      }))
  }

  it('a server that changes the body all the time is given up', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket, _, count) => {
        socket.write(headFrom(0, { etag: `"${count}"` }))
        socket.write(content.subarray(0, 1_000), () => socket.end())
      })
      const wish = { ...options, onChange: 'restart' } as const
      assert.equal(
        await codeOf(getInto(server.url, new Uint8Array(SIZE), wish)).then((code) =>
          /CHANGED|ENDED_EARLY/.test(code),
        ),
        true,
      )
    }))

  it('a digest finds a 206 with other bytes, and leaves no file', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket, request, count) => {
        const first = firstOf(request)
        socket.write(headFrom(first))
        if (count % 2 === 0) socket.write(OTHER.subarray(first))
        else socket.write(content.subarray(0, 1_000_000), () => socket.end())
      })
      const { at, names } = freshFolder()
      const wish = { ...options, sha256: sha256(content) }
      const destination = { path: at('f'), resume: true }
      assert.equal(await codeOf(getInto(server.url, destination, wish)), 'NETMEM_DIGEST_MISMATCH')
      assert.deepEqual(names(), [])
      const memory = new SharedArrayBuffer(SIZE)
      assert.equal(await codeOf(getInto(server.url, memory, wish)), 'NETMEM_DIGEST_MISMATCH')
    }))

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

describe('a file that is gone on with', () => {
  /** Fails once with what came kept, and then goes on. */
  async function interrupted(url: string, path: string, options: object): Promise<void> {
    const code = await codeOf(getInto(url, { path, resume: true }, { ...options, retries: 0 }))
    assert.equal(code, 'NETMEM_ENDED_EARLY')
  }

  it('by a later call, with its digest', () =>
    transferring(async (options) => {
      const firsts: number[] = []
      await using server = await serveRaw((socket, request, count) => {
        const first = firstOf(request)
        firsts.push(first)
        socket.write(headFrom(first))
        if (count > 2) socket.write(content.subarray(first))
        else socket.write(content.subarray(first, first + 1_000_000), () => socket.end())
      })
      const { at, names } = freshFolder()
      await interrupted(server.url, at('f'), options)
      assert.match(names().join(' '), /^f\.\w{16}\.free\.part\.json f\.\w{16}\.part$/)
      await interrupted(server.url, at('f'), options)
      const told: unknown[] = []
      const onHead = (head: ResponseHead, length: number | undefined, from: number): void => {
        told.push(head.status, length, from)
      }
      const wish = { ...options, sha256: sha256(content), onHead }
      const { bytes } = await getInto(server.url, { path: at('f'), resume: true }, wish)
      assert.deepEqual([bytes, firsts], [SIZE, [0, 1_000_000, 2_000_000]])
      assert.deepEqual(told, [206, SIZE, 2_000_000])
      assert.deepEqual(names(), ['f'])
      begins(readFileSync(at('f')), content)
    }))

  it('not where its note is missing, wrong, of another file or of another URL', () =>
    transferring(async (options) => {
      const firsts: number[] = []
      await using server = await serveRaw((socket, request) => {
        const first = firstOf(request)
        firsts.push(first)
        socket.write(headFrom(first))
        if (request.includes('/break'))
          socket.write(content.subarray(0, 1_000_000), () => socket.end())
        else socket.write(content.subarray(first))
      })
      const { at, names } = freshFolder()
      const note = (): string => at(names().find((name) => name.endsWith('.json')) ?? '')
      const noted = (): object => JSON.parse(readFileSync(note(), 'utf8'))
      const spoilers = [
        { spoil: () => writeFileSync(note(), 'null'), isOurs: false },
        { spoil: () => writeFileSync(note(), '{"netmem":2}'), isOurs: false },
        { spoil: () => writeFileSync(note(), '{'), isOurs: false },
        { spoil: () => unlinkSync(note()), isOurs: false },
        {
          spoil: () => writeFileSync(note(), JSON.stringify({ ...noted(), inode: '1' })),
          isOurs: false,
        },
        { spoil: () => {}, isOurs: true },
      ]
      for (const { spoil, isOurs } of spoilers) {
        await interrupted(`${server.url}break`, at('f'), options)
        const part = names().find((name) => name.endsWith('.part')) ?? ''
        spoil()
        firsts.length = 0
        await getInto(`${server.url}whole`, { path: at('f'), resume: true }, options)
        assert.deepEqual(firsts, [0])
        begins(readFileSync(at('f')), content)
        // What carries no note of its own is left alone.
        if (isOurs) assert.ok(!names().includes(part), `${part} is swept`)
        else assert.equal(readFileSync(at(part)).length, 1_000_000)
        for (const name of names()) unlinkSync(at(name))
      }
    }))

  it('is compared, not fetched again, when it is complete', () =>
    transferring(async (options) => {
      const date = new Date(1_700_000_000_000).toUTCString()
      const heads: string[] = []
      let [bytes, modified] = [content, date]
      await using server = await serveRaw((socket, request) => {
        heads.push(request)
        const fields = `Last-Modified: ${modified}\r\nDate: ${new Date().toUTCString()}\r\nETag: "1"\r\n`
        const first = firstOf(request)
        const condition = /^if-range: (.*)\r$/im.exec(request)?.[1] ?? modified
        if (first === 0 || condition !== modified) {
          socket.write(`HTTP/1.1 200 OK\r\n${fields}Content-Length: ${bytes.length}\r\n\r\n`)
          socket.write(bytes)
        } else {
          const range = `Content-Range: bytes */${bytes.length}\r\n`
          socket.write(`HTTP/1.1 416 No\r\n${fields}${range}Content-Length: 0\r\n\r\n`)
        }
      })
      const { at, names } = freshFolder()
      const destination = { path: at('f'), resume: true }
      await getInto(server.url, destination, options)
      const told: unknown[] = []
      const onHead = (head: ResponseHead, length: number | undefined, from: number): void => {
        told.push(head.status, length, from)
      }
      for (const sha of [false, true, sha256(content)]) {
        const result = await getInto(server.url, destination, { ...options, sha256: sha, onHead })
        assert.equal(result.bytes, SIZE)
        assert.equal(result.sha256, sha === false ? undefined : sha256(content))
      }
      assert.deepEqual(told, [416, SIZE, SIZE, 416, SIZE, SIZE, 416, SIZE, SIZE])
      assert.match(heads[1] ?? '', new RegExp(`^if-range: ${date}\r$`, 'im'))
      // The digest says that it is right, whatever its date.
      writeFileSync(at('g'), content)
      const other = { path: at('g'), resume: true }
      await getInto(server.url, other, { ...options, sha256: sha256(content) })
      assert.match(heads.at(-1) ?? '', new RegExp(`^range: bytes=${SIZE}-\r$`, 'im'))
      // One that has changed is fetched, as is one of no known version, or of a wrong digest.
      const fetched = (path: string, wish: object = {}): Promise<unknown> => {
        told.length = 0
        return getInto(server.url, { path, resume: true }, { ...options, ...wish, onHead })
      }
      writeFileSync(at('h'), content)
      await fetched(at('h'))
      assert.deepEqual(told, [200, SIZE, 0])
      writeFileSync(at('h'), OTHER)
      await fetched(at('h'), { sha256: sha256(content) })
      assert.deepEqual(told, [200, SIZE, 0])
      ;[bytes, modified] = [OTHER.subarray(1), new Date(1_700_000_001_000).toUTCString()]
      await fetched(at('f'))
      assert.deepEqual(told, [200, SIZE - 1, 0])
      begins(readFileSync(at('f')), OTHER.subarray(1))
      assert.deepEqual(names(), ['f', 'g', 'h'])
    }))

  it('or begun anew when it has changed, by the next call', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket, _, count) => {
        socket.write(headFrom(0, { etag: count === 1 ? '"1"' : '"2"' }))
        if (count > 1) socket.write(OTHER)
        else socket.write(content.subarray(0, 1_000_000), () => socket.end())
      })
      const { at, names } = freshFolder()
      await interrupted(server.url, at('f'), options)
      const again = (): Promise<unknown> =>
        getInto(server.url, { path: at('f'), resume: true }, options)
      assert.equal(await codeOf(again()), 'NETMEM_HTTP_CHANGED')
      await again()
      begins(readFileSync(at('f')), OTHER)
      assert.deepEqual(names(), ['f'])
    }))

  it('is each one its own, where two go into one file', () =>
    transferring(async (options) => {
      await using server = await serve(async (request, response) => {
        response.writeHead(200, { 'content-length': SIZE, etag: '"1"' })
        const bytes = request.url === '/a' ? content : OTHER
        for (let at = 0; at < SIZE; at += 500_000) {
          response.write(bytes.subarray(at, at + 500_000))
          await turns()
        }
        response.end()
      })
      const { at, names } = freshFolder()
      for (const resume of [false, true]) {
        const results = await Promise.all([
          getInto(
            `${server.url}a`,
            { path: at('f'), resume },
            { ...options, sha256: sha256(content) },
          ),
          getInto(
            `${server.url}b`,
            { path: at('f'), resume },
            { ...options, sha256: sha256(OTHER) },
          ),
        ])
        assert.deepEqual(
          results.map(({ bytes }) => bytes),
          [SIZE, SIZE],
        )
        const digest = sha256(readFileSync(at('f')))
        assert.ok(
          digest === sha256(content) || digest === sha256(OTHER),
          'one of them, and all of it',
        )
        assert.deepEqual(names(), ['f'])
      }
    }))

  it(
    'fails when the disk is full, and leaves nothing',
    { skip: !existsSync('/dev/full') && 'there is no /dev/full' },
    () =>
      transferring(async (options) => {
        await using server = await serve(ranged)
        const { at, names } = freshFolder()
        await withPool(async (pool) => {
          const error = await failure(
            getInto(
              server.url,
              { path: at('f'), pool, open: () => open('/dev/full', 'w') },
              options,
            ),
          )
          assert.equal(error.code, 'NETMEM_HTTP_FILE')
          assert.match(error.message, /ENOSPC/)
        })
        assert.equal(
          await codeOf(getInto(server.url, { path: '/dev/full' }, options)),
          'NETMEM_HTTP_FILE',
        )
        assert.ok(existsSync('/dev/full'))
        assert.deepEqual(names(), [])
      }),
  )

  it('fails where it cannot be written, and says what to do', () =>
    transferring(async (options) => {
      await using server = await serve(ranged)
      const { at, names } = freshFolder()
      writeFileSync(at('file'), '')
      const wrong = [
        ['no/such', /ENOENT.* Make the folder first\.$/],
        ['file/below', /ENOTDIR.* Choose a path whose folders are folders\.$/],
        ['', /EISDIR.* Name a file in that folder\.$/],
        ['n'.repeat(256), /ENAMETOOLONG.* Choose a shorter name\.$/],
      ] as const
      for (const [name, said] of wrong) {
        const error = await failure(getInto(server.url, { path: at(name) }, options))
        assert.equal(error.code, 'NETMEM_HTTP_FILE')
        assert.match(error.message, said)
      }
      assert.deepEqual(names(), ['file'])
    }))

  it('leaves devices where they are', () =>
    transferring(async (options) => {
      await using server = await serve(ranged)
      const { bytes } = await getInto(server.url, { path: '/dev/null' }, options)
      assert.equal(bytes, SIZE)
      const { statSync } = await import('node:fs')
      assert.ok(statSync('/dev/null').isCharacterDevice())
    }))
})
