/** Answers of servers, legal and not, to a request for all: each row says what becomes of the transfer. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  COMPLETE,
  intoPool,
  nothing,
  part,
  RANGE,
  type Reply,
  SIZE,
  STATUS,
  server,
  whole,
} from './answers.test.helper.ts'
import { getInto } from './get-into.ts'
import { begins, codeOf, content, transferring } from './http.test.helper.ts'

describe('an answer to a request for all', () => {
  const first = 2 ** 20 - 1
  const rows: readonly (readonly [string, Reply, string])[] = [
    ['200', whole(), COMPLETE],
    ['200 in chunks', { ...whole(), framing: 'chunked' }, COMPLETE],
    ['200 with a range that is the whole', part(0, SIZE - 1, { status: 200 }), COMPLETE],
    ['200 with a range of another unit', whole(['Content-Range: items *']), COMPLETE],
    ['200 with a range that is a part', part(0, first, { status: 200 }), RANGE],
    ['200 with a part to the end', part(9, SIZE - 1, { status: 200 }), RANGE],
    [
      '200 with a range of more than it sends',
      { ...part(0, SIZE, { total: `${SIZE + 1}` }), status: 200 },
      RANGE,
    ],
    [
      '200 with two ranges',
      whole([`Content-Range: bytes 0-${SIZE - 1}/${SIZE}`, 'Content-Range: bytes 0-1/2']),
      RANGE,
    ],
    [
      '200 in chunks with a range of less',
      {
        ...part(0, SIZE - 1, { status: 200 }),
        fields: [`Content-Range: bytes 0-${SIZE - 2}/${SIZE - 1}`],
        framing: 'chunked',
      },
      RANGE,
    ],
    [
      '200 in chunks with a range of more',
      { ...whole([`Content-Range: bytes 0-${SIZE}/${SIZE + 1}`]), framing: 'chunked' },
      'NETMEM_ENDED_EARLY',
    ],
    ['206 with the whole', part(0, SIZE - 1, { fields: [] }), COMPLETE],
    ['206 with the first part', part(0, first), COMPLETE],
    ['206 with the first part of an unknown total', part(0, first, { total: '*' }), COMPLETE],
    ['206 with a part, and no validator', part(0, first, { fields: [] }), RANGE],
    ['206 with a later part', part(9, first), RANGE],
    ['206 with no range', { ...whole(), status: 206 }, RANGE],
    [
      '206 with two ranges',
      {
        ...part(0, SIZE - 1),
        fields: ['Content-Range: bytes 0-1/2', `Content-Range: bytes 0-${SIZE - 1}/${SIZE}`],
      },
      RANGE,
    ],
    ['203', { ...whole(), status: 203 }, COMPLETE],
    ['416', nothing(416, `Content-Range: bytes */${SIZE}`), STATUS],
    ['599', nothing(599), STATUS],
    ['600', nothing(600), STATUS],
    ['999', nothing(999), STATUS],
  ]
  for (const [name, reply, outcome] of rows) {
    it(`${name}: ${outcome}`, () =>
      transferring(async (options) => {
        await using from = await server(
          (a, b) => part(a, b),
          () => reply,
        )
        // One attempt: a second one would hide a wrong answer.
        const wish = { ...options, retries: 0 }
        const memory = new Uint8Array(SIZE + 9)
        const got = getInto(from.url, memory, wish)
        if (outcome === COMPLETE) assert.equal((await got).bytes, SIZE)
        else assert.equal(await codeOf(got), outcome)
        if (outcome === COMPLETE) begins(memory, content)
        await intoPool(async ({ parts, destination }) => {
          const pooled = getInto(from.url, destination, wish)
          if (outcome !== COMPLETE) assert.equal(await codeOf(pooled), outcome)
          else assert.equal((await pooled).bytes, SIZE)
          if (outcome === COMPLETE) begins(Buffer.concat(parts), content)
        })
      }))
  }
})
