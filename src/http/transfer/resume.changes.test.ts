import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type net from 'node:net'
import { describe, it } from 'node:test'
import { turns } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import {
  begins,
  codeOf,
  content,
  firstOf,
  freshFolder,
  serve,
  serveRaw,
  sha256,
  transferring,
  withPool,
} from '../http.test.helper.ts'
import { headFrom, OTHER, SIZE } from './resume.test.helper.ts'

describe('a body that changes', () => {
  it('begins again where the response does not show that the rest is of the same body', () =>
    transferring(async (options) => {
      // The date stays within a second of the answer's, however long the test takes.
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

  it('resumes by date where that is a good validator', () =>
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
})
