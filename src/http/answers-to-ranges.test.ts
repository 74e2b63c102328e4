/** Answers of servers, legal and not, to requests for several ranges: each row says what becomes of the transfer. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  type Answer,
  CHANGED,
  ETAG,
  nothing,
  part,
  SIZE,
  server,
  whole,
} from './answers.test.helper.ts'
import { getInto } from './get-into.ts'
import { begins, codeOf, content, freshFolder, sha256, transferring } from './http.test.helper.ts'

describe('answers to requests for several ranges', () => {
  const after0 =
    (later: Answer): Answer =>
    (first, last) =>
      first === 0 ? part(first, last) : later(first, last)
  const coded = [ETAG, 'Content-Encoding: gzip']
  /** Connections that carry the body in the end. */
  const rows: readonly (readonly [string, Answer, number | string])[] = [
    ['206', (a, b) => part(a, b), 3],
    ['206 in chunks', (a, b) => part(a, b, { framing: 'chunked' }), 3],
    ['206 to the end of the connection', (a, b) => part(a, b, { framing: 'close' }), 3],
    ['206 with less', (a, b) => part(a, Math.min(b, a + 199_999)), 3],
    ['206 with more', after0((a, b) => part(a, Math.min(b + 9, SIZE - 1))), 3],
    ['206 from the start of a block', (a, b) => part(a - (a % 65_536), b), 3],
    [
      '206 in chunks, from a block to a block',
      (a, b) =>
        part(a - (a % 300_000), Math.min(SIZE - 1, b - (b % 300_000) + 299_999), {
          framing: 'chunked',
        }),
      3,
    ],
    ['206 without a validator, after the first', after0((a, b) => part(a, b, { fields: [] })), 3],
    ['206 of an unknown total, after the first', after0((a, b) => part(a, b, { total: '*' })), 3],
    ['206 with all', (a) => part(a, SIZE - 1), 1],
    ['206 with no validator', (a, b) => part(a, b, { fields: [] }), 1],
    ['206 of an unknown total', (a, b) => part(a, b, { total: '*' }), 1],
    ['206 with a byte at a time', (a) => part(a, a), 1],
    ['206 from byte 0', (_, b) => part(0, b), 1],
    ['206 with a later part', (a, b) => part(a + 1, b), 1],
    ['206 with a later part, after the first', after0((a, b) => part(a + 1, b)), 1],
    ['206 with no range', () => ({ ...whole(), status: 206 }), 1],
    [
      '206 of another total, after the first',
      after0((a, b) => part(a, b, { total: `${SIZE + 1}` })),
      1,
    ],
    [
      '206 in chunks that continue behind the range',
      (a, b) => ({ ...part(a, b - 1, { framing: 'chunked' }), body: content.subarray(a, b + 1) }),
      1,
    ],
    ['206 with parts of a coded body', (a, b) => part(a, b, { fields: coded }), 1],
    ['200 with a part and its range', (a, b) => part(a, b, { status: 200 }), 1],
    ['200 with parts, after the first', after0((a, b) => part(a, b, { status: 200 })), 1],
    ['200 with all', () => whole(), 1],
    ['200 with all, after the first', after0(() => whole()), 1],
    ['416', () => nothing(416, `Content-Range: bytes */${SIZE}`), 1],
    ['416, after the first', after0(() => nothing(416)), 1],
    [
      '416 of another length, after the first',
      after0(() => nothing(416, 'Content-Range: bytes */9')),
      CHANGED,
    ],
    [
      '206 of another version, after the first',
      after0((a, b) => part(a, b, { fields: ['ETag: "2"'] })),
      CHANGED,
    ],
    ['200 of another version, after the first', after0(() => whole(['ETag: "2"'])), CHANGED],
  ]
  for (const [name, answer, outcome] of rows) {
    it(`${name}: ${typeof outcome === 'string' ? outcome : `complete over ${outcome}`}`, () =>
      transferring(async (options) => {
        await using from = await server(answer, () => whole())
        const wish = { ...options, connections: 3, retries: 0, sha256: true }
        const memory = new Uint8Array(SIZE)
        const { at, names } = freshFolder()
        for (const destination of [memory, { path: at('f') }]) {
          const got = getInto(from.url, destination, wish)
          if (typeof outcome === 'string') {
            assert.equal(await codeOf(got), outcome)
            continue
          }
          const { bytes, connections, sha256: digest } = await got
          assert.deepEqual([bytes, connections, digest], [SIZE, outcome, sha256(content)])
        }
        if (typeof outcome === 'string') return
        begins(memory, content)
        begins(readFileSync(at('f')), content)
        assert.deepEqual(names(), ['f'])
      }))
  }
})
