/** Answers of servers, legal and not, to a request for the rest: each row says what becomes of the transfer. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  type Answer,
  BROKEN_AT,
  bytesOf,
  CHANGED,
  COMPLETE,
  ETAG,
  intoPool,
  nothing,
  part,
  RANGE,
  SIZE,
  STATUS,
  server,
  whole,
} from './answers.test.helper.ts'
import { getInto } from './get-into.ts'
import {
  begins,
  codeOf,
  content,
  freshFolder,
  serveRaw,
  sha256,
  type TestServer,
  transferring,
} from './http.test.helper.ts'

describe('an answer to a request for the rest', () => {
  const coded = [ETAG, 'Content-Encoding: gzip']
  const behind: Answer = (first) => ({
    ...part(first, SIZE - 2, { framing: 'chunked' }),
    body: content.subarray(first),
  })
  /** The outcome in memory and files, and into a pool where that is another. */
  const rows: readonly (readonly [string, Answer, string, string?])[] = [
    ['206', (a, b) => part(a, b), COMPLETE],
    ['206 in chunks', (a, b) => part(a, b, { framing: 'chunked' }), COMPLETE],
    ['206 to the end of the connection', (a, b) => part(a, b, { framing: 'close' }), COMPLETE],
    ['206 with less', (a, b) => part(a, Math.min(b, a + 399_999)), COMPLETE],
    [
      '206 with less, in chunks',
      (a, b) => part(a, Math.min(b, a + 399_999), { framing: 'chunked' }),
      COMPLETE,
    ],
    ['206 of an unknown total', (a, b) => part(a, b, { total: '*' }), COMPLETE],
    ['206 without a validator', (a, b) => part(a, b, { fields: [] }), COMPLETE],
    ['206 from the start of a block', (a, b) => part(a - (a % 65_536), b), COMPLETE],
    [
      '206 from a block, with less, in chunks',
      (a, b) => part(a - (a % 65_536), Math.min(b, a + 399_999), { framing: 'chunked' }),
      COMPLETE,
    ],
    ['206 with a byte at a time', (a) => part(a, a), COMPLETE],
    ['206 from byte 0', (_, b) => part(0, b), COMPLETE],
    [
      '206 with its range twice',
      (a, b) => part(a, b, { fields: [ETAG, `Content-Range: bytes ${a}-${b}/${SIZE}`] }),
      COMPLETE,
    ],
    [
      '206 with two ranges',
      (a, b) => part(a, b, { fields: [ETAG, 'Content-Range: bytes 0-1/2'] }),
      COMPLETE,
    ],
    ['206 with a later part', (a, b) => part(a + 1, b), COMPLETE],
    ['206 with an earlier part', (a) => part(0, a - 1), COMPLETE],
    [
      '206 with no range',
      (a) => ({ ...whole(), status: 206, body: content.subarray(a) }),
      COMPLETE,
    ],
    [
      '206 of another unit',
      (a) => ({ ...whole([`Content-Range: items ${a}-9/10`]), status: 206 }),
      COMPLETE,
    ],
    ['206 of another total', (a, b) => part(a, b, { total: `${SIZE + 1}` }), COMPLETE],
    [
      '206 with a range of more than it sends',
      (a, b) => ({ ...part(a, b), body: content.subarray(a, b) }),
      COMPLETE,
    ],
    [
      '206 with a range of less than it sends',
      (a, b) => ({ ...part(a, b - 1), body: content.subarray(a) }),
      COMPLETE,
    ],
    ['206 in chunks that continue behind the range', behind, COMPLETE, RANGE],
    ['206 with a part of a coded body', (a, b) => part(a, b, { fields: coded }), COMPLETE],
    ['206 of another version', (a, b) => part(a, b, { fields: ['ETag: "2"'] }), CHANGED],
    ['200 with all', () => whole(), COMPLETE],
    ['200 with all, in chunks', () => ({ ...whole(), framing: 'chunked' }), COMPLETE],
    ['200 with all, and no validator', () => whole([]), COMPLETE, CHANGED],
    ['200 with the rest and its range', (a, b) => part(a, b, { status: 200 }), COMPLETE],
    ['200 of another version', () => whole(['ETag: "2"']), CHANGED],
    ['200 of another length', () => ({ ...whole(), body: content.subarray(1) }), CHANGED],
    [
      '416 although there is more',
      () => nothing(416, ETAG, `Content-Range: bytes */${SIZE}`),
      COMPLETE,
    ],
    ['416 that says nothing', () => nothing(416), COMPLETE],
    ['416 of a shorter body', () => nothing(416, 'Content-Range: bytes */9'), CHANGED],
    ['416 of another version', () => nothing(416, 'ETag: "2"'), CHANGED],
    ['403', () => nothing(403), STATUS],
  ]
  for (const [name, answer, outcome, pooled = outcome] of rows) {
    it(`${name}: ${outcome}${pooled === outcome ? '' : `, into a pool ${pooled}`}`, () =>
      transferring(async (options) => {
        const start = (): Promise<TestServer> =>
          server(answer, (count) => ({ ...whole(), limit: count === 1 ? BROKEN_AT : SIZE }))
        // Attempts after the first: the break needs one, and no row another.
        const wish = { ...options, retries: 1 }
        {
          await using from = await start()
          const memory = new Uint8Array(SIZE)
          const got = getInto(from.url, memory, wish)
          if (outcome !== COMPLETE) assert.equal(await codeOf(got), outcome)
          else assert.deepEqual([(await got).bytes, (await got).retries], [SIZE, 1])
          if (outcome === COMPLETE) begins(memory, content)
        }
        {
          await using from = await start()
          const { at, names } = freshFolder()
          const got = getInto(from.url, { path: at('f'), resume: true }, { ...wish, sha256: true })
          if (outcome !== COMPLETE) assert.equal(await codeOf(got), outcome)
          else assert.equal((await got).sha256, sha256(content))
          if (outcome === COMPLETE) {
            begins(readFileSync(at('f')), content)
            assert.deepEqual(names(), ['f'])
          }
        }
        await using from = await start()
        await intoPool(async ({ parts, destination }) => {
          const got = getInto(from.url, destination, wish)
          if (pooled !== COMPLETE) assert.equal(await codeOf(got), pooled)
          else assert.equal((await got).bytes, SIZE)
          if (pooled === COMPLETE) begins(Buffer.concat(parts), content)
        })
      }))
  }

  it('416 where all bytes are there: complete', () =>
    transferring(async (options) => {
      const sizes = [`Content-Range: bytes */${SIZE}`, 'X: y']
      for (const field of sizes) {
        // Broken in the middle, and again between the last byte and the last chunk.
        await using from = await serveRaw((socket, request) => {
          const first = Number(/^range: bytes=(\d+)-/im.exec(request)?.[1] ?? 0)
          if (first === SIZE) {
            socket.write(bytesOf(nothing(416, ETAG, field)))
            return
          }
          const reply = first === 0 ? whole() : part(first, SIZE - 1)
          const bytes = bytesOf({ ...reply, framing: 'chunked' }, first === 0 ? BROKEN_AT : SIZE)
          socket.end(bytes.subarray(0, bytes.length - 7))
        })
        const memory = new Uint8Array(SIZE)
        const { bytes, retries } = await getInto(from.url, memory, { ...options, retries: 2 })
        assert.deepEqual([bytes, retries], [SIZE, 2])
        begins(memory, content)
      }
    }))
})
