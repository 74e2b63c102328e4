/** Answers of servers, legal and not, by what was asked: each row says what becomes of the transfer. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { GetDestination } from './get-into.ts'
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
  withPool,
} from './http.test.helper.ts'

const SIZE = content.length
const BROKEN_AT = 500_000

/** What a server sends: fields besides those that frame the body. */
interface Reply {
  readonly status: number
  readonly fields: readonly string[]
  readonly body: Buffer
  /** How the body's end is told; `length` by default. */
  readonly framing?: 'length' | 'chunked' | 'close'
}

/** Answers to a request for bytes `first` to `last`. */
type Answer = (first: number, last: number) => Reply

const ETAG = 'ETag: "1"'

function part(
  first: number,
  last: number,
  { fields = [ETAG], total = `${SIZE}`, status = 206, framing }: PartOptions = {},
): Reply {
  const range = `Content-Range: bytes ${first}-${last}/${total}`
  const body = content.subarray(first, last + 1)
  return { status, fields: [range, ...fields], body, ...(framing && { framing }) }
}

interface PartOptions {
  readonly fields?: readonly string[]
  readonly total?: string
  readonly status?: number
  readonly framing?: Reply['framing']
}

function whole(fields: readonly string[] = [ETAG]): Reply {
  return { status: 200, fields, body: content }
}

function nothing(status: number, ...fields: string[]): Reply {
  return { status, fields, body: Buffer.alloc(0) }
}

/** The bytes of a reply, as far as `limit` goes in its body. */
function bytesOf({ status, fields, body, framing = 'length' }: Reply, limit = SIZE): Buffer {
  const framed = {
    length: [`Content-Length: ${body.length}`],
    chunked: ['Transfer-Encoding: chunked'],
    close: ['Connection: close'],
  }[framing]
  const head = `HTTP/1.1 ${status} X\r\n${[...fields, ...framed].join('\r\n')}\r\n\r\n`
  const sent = body.subarray(0, limit)
  const chunks: Uint8Array[] = [Buffer.from(head, 'latin1')]
  if (framing === 'chunked') chunks.push(Buffer.from(`${sent.length.toString(16)}\r\n`))
  chunks.push(sent)
  if (framing === 'chunked') chunks.push(Buffer.from('\r\n0\r\n\r\n'))
  return Buffer.concat(chunks)
}

/** A server that answers requests for ranges with `ranged`, and others with what `plain` makes. */
function server(
  ranged: Answer,
  plain: (count: number) => Reply & { limit?: number },
): Promise<TestServer> {
  let plains = 0
  return serveRaw((socket, request) => {
    const asked = /^range: bytes=(\d+)-(\d*)/im.exec(request)
    const last = asked?.[2] ? Math.min(Number(asked[2]), SIZE - 1) : SIZE - 1
    const reply = asked === null ? plain(++plains) : ranged(Number(asked[1]), last)
    const limit = 'limit' in reply && typeof reply.limit === 'number' ? reply.limit : SIZE
    socket.write(bytesOf(reply, limit))
    if (limit < SIZE || reply.framing === 'close') socket.end()
  })
}

/** A destination of pages, and what came. */
type Collected = { readonly parts: Buffer[]; readonly destination: GetDestination }

async function intoPool(run: (collected: Collected) => Promise<void>): Promise<void> {
  await withPool(async (pool) => {
    const parts: Buffer[] = []
    const onFrag = (frag: Disposable & { bytes: Uint8Array }): void => {
      parts.push(Buffer.from(frag.bytes))
      frag[Symbol.dispose]()
    }
    await run({ parts, destination: { pool, onFrag } })
  })
}

const COMPLETE = 'complete'
const CHANGED = 'NETMEM_HTTP_CHANGED'
const RANGE = 'NETMEM_HTTP_RANGE'
const STATUS = 'NETMEM_HTTP_STATUS'

describe('an answer to a request for all', { timeout: 60_000 }, () => {
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
        // Nothing is left to chance of a second attempt.
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

describe('an answer to a request for the rest', { timeout: 60_000 }, () => {
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
    ['206 in chunks that go on behind the range', behind, COMPLETE, RANGE],
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
        // One is for the break; no row needs another.
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

describe('answers to requests for several ranges', { timeout: 60_000 }, () => {
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
      '206 in chunks that go on behind the range',
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
