import assert from 'node:assert/strict'
import type net from 'node:net'
import { describe, it } from 'node:test'
import { turns, until, VirtualClock } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import { begins, codeOf, content, serve, serveRaw, transferring } from '../http.test.helper.ts'
import { headPool } from '../transfer/head-pool.ts'
import { ConnectionCache } from './connection-cache.ts'

const body = content.subarray(0, 4096)

/** A response whose body has `bytes`, as text whose units are bytes. */
function answer(bytes: Uint8Array, head = '200 OK', fields = ''): string {
  const length = `Content-Length: ${bytes.byteLength}\r\n`
  return `HTTP/1.1 ${head}\r\n${length}${fields}\r\n${Buffer.from(bytes).toString('latin1')}`
}

/** Sends it in pieces that end at these places, each of which is a read of its own. */
async function sendCut(socket: net.Socket, text: string, cuts: readonly number[]): Promise<void> {
  let from = 0
  for (const to of [...cuts, text.length]) {
    socket.write(text.slice(from, to), 'latin1')
    from = to
    await turns()
  }
}

/** Memory in which nothing has arrived. */
function untouched(): Uint8Array {
  return new Uint8Array(body.length).fill(7)
}

function isUntouched(memory: Uint8Array): boolean {
  return memory.every((byte) => byte === 7)
}

describe('a body that comes with its head', () => {
  it('is taken where it arrived, over one connection, without a frag', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket, _, count) => {
        socket.write(answer(body.subarray(0, count)), 'latin1')
      })
      const { frags } = headPool().stats().copied
      for (let count = 1; count <= 300; count++) {
        const memory = untouched()
        const result = await getInto(server.url, memory, options)
        assert.deepEqual([result.bytes, result.head.status, result.retries], [count, 200, 0])
        assert.equal(result.sha256, undefined)
        const { connectMs, firstByteMs, lastByteMs } = result.timing
        assert.equal(connectMs > 0, count === 1)
        assert.ok(firstByteMs > 0 && lastByteMs >= firstByteMs)
        begins(memory, body.subarray(0, count))
        assert.ok(isUntouched(memory.subarray(count)), 'nothing behind it')
      }
      assert.equal(server.connections(), 1)
      assert.equal(headPool().stats().copied.frags, frags)
    }))

  it('says whether its end can be told from a cut', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket, request) => {
        if (request.startsWith('GET /length')) socket.write(answer(Buffer.from('x')))
        else if (request.startsWith('GET /chunked'))
          socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n')
        else socket.end('HTTP/1.1 200 OK\r\n\r\nx')
      })
      for (const [path, known] of [
        ['length', true],
        ['chunked', true],
        ['open', false],
      ] as const) {
        const { bytes, endKnown } = await getInto(
          `${server.url}${path}`,
          new Uint8Array(9),
          options,
        )
        assert.deepEqual([path, bytes, endKnown], [path, 1, known])
      }
    }))

  it('arrives in any pieces, and so does the next one', () =>
    transferring(async (options) => {
      const text = answer(body)
      const head = text.indexOf('\r\n\r\n') + 4
      const cuts = [
        [1],
        [head - 2],
        [head],
        [head + 1],
        [text.length - 1],
        [5, head - 1, head + 1, head + 2000],
      ]
      await using server = await serveRaw((socket, _, count) => {
        void sendCut(socket, text, cuts[count >> 1] ?? [])
      })
      for (let i = 0; i < 2 * cuts.length; i++) {
        const memory = untouched()
        assert.equal((await getInto(server.url, memory, options)).bytes, body.length)
        begins(memory, body)
      }
      assert.equal(server.connections(), 1)
    }))

  it('may come behind interim heads, and have no bytes', () =>
    transferring(async (options) => {
      const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
      await using server = await serveRaw((socket, _, count) => {
        socket.write(interim + interim + answer(count === 1 ? body : body.subarray(0, 0)), 'latin1')
      })
      const memory = untouched()
      assert.equal((await getInto(server.url, memory, options)).bytes, body.length)
      begins(memory, body)
      assert.equal((await getInto(server.url, new Uint8Array(0), options)).bytes, 0)
      assert.equal(server.connections(), 1)
    }))

  it('is no body of the transfer where the head says otherwise', () =>
    transferring(async (options) => {
      const answers = [
        [answer(body, '404 Not Found'), 'NETMEM_HTTP_STATUS'],
        [answer(body, '206 Partial Content'), 'NETMEM_HTTP_RANGE'],
        [answer(body, '200 OK', 'Content-Range: bytes 0-9/99\r\n'), 'NETMEM_HTTP_RANGE'],
        [answer(body, '200 OK', 'Content-Encoding: gzip\r\n'), 'NETMEM_HTTP_CONTENT_CODING'],
        [answer(body, '302 Found', 'Location: /elsewhere\r\n'), 'NETMEM_HTTP_STATUS'],
      ] as const
      await using server = await serveRaw((socket, request, count) => {
        const elsewhere = request.includes('/elsewhere')
        socket.write(
          elsewhere ? answer(body, '410 Gone') : (answers[count - 1]?.[0] ?? ''),
          'latin1',
        )
      })
      for (const [, code] of answers) {
        const memory = untouched()
        assert.equal(await codeOf(getInto(server.url, memory, options)), code)
        assert.ok(isUntouched(memory), code)
      }
    }))

  it('is refused where it does not fit, or where its memory has gone', () =>
    transferring(async (options) => {
      let arrived = (): void => {}
      await using server = await serveRaw((socket, _, count) => {
        if (count > 1) arrived()
        socket.write(answer(body), 'latin1')
      })
      const small = untouched().subarray(1)
      assert.equal(
        await codeOf(getInto(server.url, small, options)),
        'NETMEM_DESTINATION_TOO_SMALL',
      )
      assert.ok(isUntouched(small))
      const memory = new ArrayBuffer(body.length)
      arrived = () => void structuredClone(memory, { transfer: [memory] })
      assert.equal(
        await codeOf(getInto(server.url, memory, options)),
        'NETMEM_DESTINATION_DETACHED',
      )
    }))

  it('does not leave its connection for the next one where more came, or the server closes it', () =>
    transferring(async (options) => {
      const answers = [
        `${answer(body)}x`,
        answer(body, '200 OK', 'Connection: close\r\n'),
        answer(body).replace('1.1', '1.0'),
        answer(body),
      ]
      await using server = await serveRaw((socket, _, count) => {
        socket.write(answers[count - 1] ?? '', 'latin1')
      })
      for (let i = 1; i <= answers.length; i++) {
        const memory = untouched()
        assert.equal((await getInto(server.url, memory, options)).bytes, body.length)
        begins(memory, body)
        assert.equal(server.connections(), i)
      }
    }))

  it('leaves no connection that is sent anything while it rests', () =>
    transferring(async (options) => {
      const sockets: net.Socket[] = []
      await using server = await serveRaw((socket) => {
        sockets.push(socket)
        socket.write(answer(body), 'latin1')
      })
      await getInto(server.url, untouched(), options)
      assert.equal(options.keepAlive.idle, 1)
      sockets[0]?.write(answer(body), 'latin1')
      await until(() => options.keepAlive.idle === 0, 'it is dropped')
      await getInto(server.url, untouched(), options)
      assert.equal(server.connections(), 2)
    }))

  it('reports its head and its progress', () =>
    transferring(async (options) => {
      await using server = await serveRaw((socket) => void socket.write(answer(body), 'latin1'))
      const told: unknown[] = []
      await getInto(server.url, untouched(), {
        ...options,
        onHead: ({ status }, length) => told.push([status, length]),
        onProgress: (bytes) => told.push(bytes),
      })
      assert.deepEqual(told, [[200, body.length], body.length])
    }))

  it('that comes with an abort is not reported', () =>
    transferring(async (options) => {
      const abortion = new AbortController()
      const { signal } = abortion
      await using server = await serveRaw((socket) => {
        socket.write(answer(body), 'latin1')
        abortion.abort()
      })
      assert.equal(
        await codeOf(getInto(server.url, untouched(), { ...options, signal })),
        'NETMEM_ABORTED',
      )
    }))
})

describe('the time of a connection that is used again', () => {
  it('begins anew: neither the rest before counts, nor its limit', (t) =>
    transferring(async (options) => {
      const clock = new VirtualClock(t)
      await using keepAlive = disposable(new ConnectionCache({ idleTimeoutMs: 30 }))
      await using server = await serveRaw((socket, _, count) => {
        if (count > 1) clock.advance(100)
        socket.write(answer(body), 'latin1')
      })
      const wish = { ...options, keepAlive: keepAlive.cache, headTimeoutMs: 110 }
      await getInto(server.url, untouched(), wish)
      clock.advance(20)
      await getInto(server.url, untouched(), wish)
      assert.equal(server.connections(), 1)
    }))

  it('is over when the server says nothing for the limit of the one that waits', (t) =>
    transferring(async (options) => {
      const clock = new VirtualClock(t)
      let asked = 0
      await using server = await serveRaw((socket, _, count) => {
        asked = count
        if (count <= 2) socket.write(answer(body), 'latin1')
      })
      await getInto(server.url, untouched(), { ...options, headTimeoutMs: 20 })
      await getInto(server.url, untouched(), options)
      let over = false
      const waiting = getInto(server.url, untouched(), {
        ...options,
        headTimeoutMs: 60,
        retries: 0,
      }).finally(() => {
        over = true
      })
      const code = codeOf(waiting)
      await until(() => asked === 3, 'it has asked')
      clock.advance(59)
      await turns()
      assert.ok(!over)
      clock.advance(1)
      assert.equal(await code, 'NETMEM_TIMEOUT')
      assert.equal(server.connections(), 1)
    }))
})

function disposable(cache: ConnectionCache): AsyncDisposable & { readonly cache: ConnectionCache } {
  return {
    cache,
    async [Symbol.asyncDispose]() {
      cache.close()
    },
  }
}

it('a connection has the low-water mark that the transfer was given', (t) =>
  transferring(async (options) => {
    const clock = new VirtualClock(t)
    const large = Buffer.alloc(64 * 1024 * 1024)
    await using server = await serve((_, response) => response.end(large))
    const marks: number[] = []
    const wakeBatching = (_: number, bytes: number): boolean => {
      marks.push(bytes)
      return true
    }
    const memory = new Uint8Array(large.length)
    // The mark is raised for a fast body: eight megabytes in a tick of its clock, on any machine.
    let due = 8 * 1024 * 1024
    const onProgress = (bytes: number): void => {
      if (bytes < due) return
      due += 8 * 1024 * 1024
      clock.advance(10)
    }
    await getInto(server.url, memory, { ...options, keepAlive: false, wakeBatching, onProgress })
    assert.equal(marks[0], 4 * 1024 * 1024)
  }))
