import assert from 'node:assert/strict'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { ResponseHead } from '../../client/response-head.ts'
import { getInto } from '../../get-into.ts'
import {
  begins,
  codeOf,
  content,
  firstOf,
  freshFolder,
  serveRaw,
  sha256,
  transferring,
} from '../../http.test.helper.ts'
import { headFrom, OTHER, SIZE } from '../resume.test.helper.ts'

describe('a file that is gone on with', () => {
  /** Fails once, keeps the bytes that came, and continues after that. */
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
        // A part file without a note stays as it is.
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
      // The digest says that it is right, so its date does not matter.
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
})
