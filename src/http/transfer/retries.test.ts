import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { getInto } from '../get-into.ts'
import { codeOf, serve, transferring } from '../http.test.helper.ts'
import { parseContentRange, unsatisfiedLength } from './content-range.ts'
import { retryAfterMs } from './status-error.ts'

describe('Retry-After', () => {
  const now = Date.parse('2024-05-01T00:00:00Z')
  const cases = [
    [undefined, undefined],
    ['0', 0],
    ['120', 120_000],
    ['Wed, 01 May 2024 00:01:00 GMT', 60_000],
    ['Wed, 01 May 2024 00:00:00 GMT', 0],
    ['Tue, 30 Apr 2024 00:00:00 GMT', 0],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['1e3', undefined],
    ['9999999999', undefined],
    ['2024', 2_024_000],
    ['Wed, nonsense', undefined],
    ['Wednesday, 01-May-24 00:01:00 GMT', 60_000],
    ['Wed May  1 00:01:00 2024', 60_000],
    ['Wed, 41 May 2024 00:01:00 GMT', undefined],
    ['Wed, 01 May 2024 00:01:00', undefined],
  ] as const
  for (const [text, expected] of cases) {
    it(`'${text}' is ${expected} ms`, () => assert.equal(retryAfterMs(text, now), expected))
  }
})

describe('a server that is busy', () => {
  it('is waited for longer each time', () =>
    transferring(async (options) => {
      const at: number[] = []
      await using server = await serve((_, response) => {
        at.push(performance.now())
        response.writeHead(503).end()
      })
      const wish = { ...options, retries: 3, retryDelayMs: 100 }
      assert.equal(await codeOf(getInto(server.url, new Uint8Array(1), wish)), 'NETMEM_HTTP_STATUS')
      const waits = at.slice(1).map((time, i) => time - (at[i] ?? 0))
      assert.equal(waits.length, 3)
      // A half of each is left to chance, and a timer may be a millisecond early.
      for (const [i, wait] of waits.entries()) assert.ok(wait >= 50 * 2 ** i - 2, `${waits}`)
    }))
})

describe('Content-Range', () => {
  it('is read as it was written', () => {
    const place = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 1 })
    fc.assert(
      fc.property(place, place, place, (a, b, c) => {
        const [first = 0, last = 0, total = 0] = [a, b, c].sort((x, y) => x - y)
        const range = { first, last, total: total + 1 }
        assert.deepEqual(parseContentRange(`bytes ${first}-${last}/${total + 1}`), range)
        assert.deepEqual(parseContentRange(`bytes ${first}-${last}/*`), {
          ...range,
          total: undefined,
        })
      }),
    )
  })

  const wrong = [
    '',
    'bytes',
    'bytes 0-1',
    'bytes 1-0/2',
    'bytes 0-2/2',
    'bytes -1/2',
    'bytes 0-/2',
    'bytes 0-1/2 ',
    'bytes  0-1/2',
    'bytes=0-1/2',
    'octets 0-1/2',
    'bytes */2',
    'bytes 0-1/2, bytes 0-1/2',
    'bytes 0-9007199254740992/9007199254740993',
  ]
  for (const text of wrong) {
    it(`is not '${text}'`, () => assert.equal(parseContentRange(text), undefined))
  }

  it('says how long a body is that a range is not of', () => {
    assert.equal(unsatisfiedLength('bytes */7'), 7)
    for (const text of [undefined, 'bytes */*', 'bytes 0-1/2', '7']) {
      assert.equal(unsatisfiedLength(text), undefined)
    }
  })
})
