import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { isNetmemError } from '../../errors.ts'
import { fc } from '../../testing/fast-check.test.helper.ts'
import type { GetDestination } from '../get-into.ts'
import { getInto } from '../get-into.ts'
import { content, freshFolder, serve, transferring, withPool } from '../http.test.helper.ts'

/** Ways to answer a request for a range, and what each does to the answer of a good server. */
const RANGED = [
  'good',
  'chunked',
  'short',
  'block',
  'zero',
  'more',
  'unknown total',
  'silent',
  'twice',
  'two ranges',
  'as 200',
  'no range',
  'other total',
  'shifted',
  'behind',
  'refused',
  'refused, bare',
  'coded',
  'ignored',
] as const
/** Ways to answer a request for all. */
const PLAIN = ['good', 'chunked', 'as 206', 'part as 206', 'part as 200', 'gzip'] as const

/** Answer of the server to one request. */
const act = fc.record({
  ranged: fc.oneof(fc.constant('good' as const), fc.constantFrom(...RANGED)),
  plain: fc.oneof(fc.constant('good' as const), fc.constantFrom(...PLAIN)),
  end: fc.constantFrom('whole', 'whole', 'whole', 'cut', 'reset', 'busy'),
  /** Version of the body at that moment. */
  version: fc.constantFrom(0, 0, 0, 0, 1),
  /** Share of the body at which it breaks off, or a part ends. */
  share: fc.double({ min: 0, max: 1, noNaN: true }),
})

type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

/** Two bodies of different lengths that have no byte in common for long. */
const versions = [content.subarray(0, 2_500_000), content.subarray(400_001, 2_700_000)] as const
const coded = versions.map((bytes) => gzipSync(bytes, { level: 0 }))

/** The bytes and fields of an answer. */
interface Reply {
  status: number
  bytes: Buffer
  fields: Record<string, string | string[]>
  chunked: boolean
}

/** The answer to a request for bytes `first` to `last` of `all`. */
function partOf(all: Buffer, etag: string, first: number, last: number, given: Act): Reply {
  const { ranged: kind, share } = given
  const total = all.length
  const from = kind === 'block' ? first - (first % 65_536) : kind === 'zero' ? 0 : first
  const short = Math.min(last, first + Math.floor(share * (last - first)))
  const to = kind === 'more' ? total - 1 : kind === 'short' ? short : last
  const shift = kind === 'shifted' ? 1 : 0
  const behind = kind === 'behind' && to > from ? 1 : 0
  const said = { 'unknown total': '*', 'other total': `${total + 1}` }[kind as string] ?? total
  const range = `bytes ${from + shift}-${to - behind}/${said}`
  const fields: Reply['fields'] = { 'content-range': range, etag }
  if (kind === 'silent') delete fields['etag']
  if (kind === 'twice') fields['content-range'] = [range, range]
  if (kind === 'two ranges') fields['content-range'] = [range, `bytes 0-0/${total}`]
  if (kind === 'no range') delete fields['content-range']
  if (kind === 'coded') fields['content-encoding'] = 'gzip'
  const status = kind === 'as 200' ? 200 : 206
  const chunked = kind === 'chunked' || behind > 0
  return { status, bytes: all.subarray(from, to + 1), fields, chunked }
}

/** The answer to a request for all. */
function allOf(all: Buffer, etag: string, { plain: kind, version, share }: Act): Reply {
  const end = kind.startsWith('part') ? Math.ceil(share * all.length) : all.length
  const range = `bytes 0-${Math.max(0, end - 1)}/${all.length}`
  const status = kind.endsWith('206') ? 206 : 200
  const fields: Reply['fields'] = {
    etag,
    ...(kind.includes('as') ? { 'content-range': range } : {}),
    ...(kind === 'gzip' ? { 'content-encoding': 'gzip' } : {}),
  }
  const bytes = kind === 'gzip' ? (coded[version] ?? all) : all.subarray(0, end)
  return { status, bytes, fields, chunked: kind === 'chunked' }
}

function perform(given: Act, request: IncomingMessage, response: ServerResponse): void {
  const { version, share, end } = given
  const all = versions[version === 1 ? 1 : 0]
  const etag = `"${version}"`
  if (end === 'busy') {
    response.writeHead(503).end()
    return
  }
  const ifRange = request.headers['if-range']
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const useRange =
    asked !== null && given.ranged !== 'ignored' && (ifRange === undefined || ifRange === etag)
  const first = useRange ? Number(asked[1]) : 0
  const last =
    useRange && asked[2] !== '' ? Math.min(Number(asked[2]), all.length - 1) : all.length - 1
  const bare = given.ranged === 'refused, bare'
  if (first > last || (useRange && given.ranged.startsWith('refused'))) {
    response.writeHead(416, bare ? {} : { 'content-range': `bytes */${all.length}` }).end()
    return
  }
  const reply = useRange ? partOf(all, etag, first, last, given) : allOf(all, etag, given)
  const { status, bytes, fields, chunked } = reply
  response.writeHead(status, chunked ? fields : { ...fields, 'content-length': bytes.length })
  if (end === 'whole') {
    response.end(bytes)
    return
  }
  response.write(bytes.subarray(0, Math.floor(bytes.length * share)), () => {
    if (end === 'cut') response.destroy()
    else request.socket.resetAndDestroy()
  })
  response.flushHeaders()
}

describe('a transfer from a server that does anything', () => {
  it('brings one whole version, or fails', () =>
    transferring((options) =>
      withPool(async (pool) => {
        let acts: readonly Act[] = []
        let at = 0
        await using server = await serve((request, response) => {
          const next = acts[Math.min(at++, acts.length - 1)]
          if (next === undefined) response.destroy()
          else perform(next, request, response)
        })
        let complete = 0
        await fc.assert(
          fc.asyncProperty(
            fc.array(act, { minLength: 1, maxLength: 8 }),
            fc.constantFrom('memory', 'shared', 'file', 'pool'),
            fc.constantFrom(1, 3),
            fc.constantFrom('restart', 'fail'),
            fc.boolean(),
            async (given, kind, connections, onChange, decompress) => {
              acts = given
              at = 0
              const { at: path, names } = freshFolder()
              const memory = new Uint8Array(
                kind === 'shared' ? new SharedArrayBuffer(2_500_000) : new ArrayBuffer(2_500_000),
              )
              const parts: Buffer[] = []
              const destination: GetDestination =
                kind === 'file'
                  ? { path: path('f'), pool }
                  : kind === 'pool'
                    ? {
                        pool,
                        onFrag: (frag) => {
                          parts.push(Buffer.from(frag.bytes))
                          frag.release()
                        },
                      }
                    : memory
              try {
                const changes = { onChange, decompress, retries: 6 }
                const wish = { ...options, ...changes, connections, sha256: true }
                const { bytes } = await getInto(server.url, destination, wish)
                const body =
                  kind === 'file'
                    ? readFileSync(path('f'))
                    : kind === 'pool'
                      ? Buffer.concat(parts)
                      : memory.subarray(0, bytes)
                assert.equal(body.byteLength, bytes)
                assert.ok(versions.some((version) => Buffer.compare(version, body) === 0))
                complete++
              } catch (error) {
                assert.ok(isNetmemError(error), String(error))
                assert.deepEqual(names(), [])
              }
              assert.equal(pool.out, 0)
            },
          ),
          { numRuns: 100, seed: 101 },
        )
        assert.ok(complete > 20, `${complete}`)
      }),
    ))
})
