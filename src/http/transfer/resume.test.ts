import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type net from 'node:net'
import { describe, it } from 'node:test'
import { noTcpTable, readByPeer } from '../../testing/read-by-peer.test.helper.ts'
import { turns } from '../../testing/waiting.test.helper.ts'
import { getInto } from '../get-into.ts'
import {
  begins,
  codeOf,
  content,
  firstOf,
  freshFolder,
  ranged,
  serve,
  serveRaw,
  sha256,
  transferring,
  withPool,
} from '../http.test.helper.ts'
import { headFrom, SIZE } from './resume.test.helper.ts'

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
  // Resets once the peer has read everything: a reset that closely follows data may pass for an end.
  resets: async (socket) => {
    if (noTcpTable === false) await readByPeer(socket)
    else await turns()
    socket.resetAndDestroy()
  },
  stalls: () => {},
}

describe('a transfer that breaks', () => {
  for (const [what, end] of Object.entries(ends)) {
    it(`resumes when the server ${what}, into memory, a file and a pool`, () =>
      transferring(async (options) => {
        const stalls = what === 'stalls'
        const wish = { ...options, sha256: sha256(content), ...(stalls && { stallTimeoutMs: 200 }) }
        // A busy machine may have stalls besides those of the test.
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

  it('is not complete where a chunked body breaks off, and resumes there, too', () =>
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
})
