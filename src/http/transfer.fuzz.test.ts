import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isNetmemError } from '../errors.ts'
import type { GetDestination } from './get-into.ts'
import { getInto } from './get-into.ts'
import { content, freshFolder, serve, transferring, withPool } from './http.test.helper.ts'

/** What a server does with one request. */
const act = fc.record({
  kind: fc.constantFrom('good', 'good', 'good', 'cut', 'reset', 'ignore', 'busy', 'lie', 'chunked'),
  /** Which of the versions the body is by now. */
  version: fc.constantFrom(0, 0, 0, 0, 1),
  /** Where it breaks off, as a share. */
  share: fc.double({ min: 0, max: 1, noNaN: true }),
})

type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

/** Two bodies of different lengths that have no byte in common for long. */
const versions = [content.subarray(0, 2_500_000), content.subarray(400_001, 2_700_000)] as const

function perform(
  { kind, version, share }: Act,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const bytes = versions[version === 1 ? 1 : 0]
  const etag = `"${version}"`
  if (kind === 'busy') {
    response.writeHead(503).end()
    return
  }
  const ifRange = request.headers['if-range']
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const useRange =
    asked !== null && kind !== 'ignore' && (ifRange === undefined || ifRange === etag)
  const first = useRange ? Number(asked[1]) : 0
  const last =
    useRange && asked[2] !== '' ? Math.min(Number(asked[2]), bytes.length - 1) : bytes.length - 1
  if (first > last) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    return
  }
  const part = bytes.subarray(first, last + 1)
  const shift = kind === 'lie' && useRange ? 1 : 0
  response.writeHead(useRange ? 206 : 200, {
    etag,
    ...(kind === 'chunked' ? {} : { 'content-length': part.length }),
    ...(useRange ? { 'content-range': `bytes ${first + shift}-${last}/${bytes.length}` } : {}),
  })
  if (kind !== 'cut' && kind !== 'reset') {
    response.end(part)
    return
  }
  response.write(part.subarray(0, Math.floor(part.length * share)), () => {
    if (kind === 'cut') response.destroy()
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
            async (given, kind, connections, onChange) => {
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
                const wish = { ...options, connections, onChange, retries: 6, sha256: true }
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
          { numRuns: 80, seed: 7 },
        )
        assert.ok(complete > 20, `${complete}`)
      }),
    ))
})
