/** Meanings of responses by what was asked: one row is one response. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isNetmemError } from '../../errors.ts'
import { HeaderList } from '../client/header-list.ts'
import { classify, type Meaning } from './classify.ts'
import type { Entity } from './entity.ts'
import type { Answer } from './part.ts'
import type { Plan } from './plan.ts'

const SIZE = 100_000
const ETAG = 'etag: "1"'
const entity: Entity & { readonly length: number } = {
  length: SIZE,
  etag: '"1"',
  lastModified: undefined,
  validator: '"1"',
}

/** A response with these fields. `length` is what its framing says of its body. */
function answer(status: number, fields: readonly string[], length?: number): Answer {
  const pairs = fields.map((field) => field.split(/: (.*)/s))
  const names = pairs.map(([name = '']) => name)
  const values = pairs.map(([, value = '']) => value)
  return {
    url: new URL('http://example.org/x'),
    head: { version: '1.1', status, reason: '', headers: new HeaderList(names, values) },
    body: { length },
  }
}

/** A 206 with bytes `first` to `last`. */
function bytes(first: number, last: number, fields = [ETAG], total: number | '*' = SIZE): Answer {
  const range = `content-range: bytes ${first}-${last}/${total}`
  return answer(206, [range, ...fields], last - first + 1)
}

/** A meaning in short: its kind, then what it says of bytes or of the error. */
function short(meaning: Meaning): string {
  switch (meaning.kind) {
    case 'begin':
      return `begin 0-${meaning.part.end} of ${meaning.entity.length}`
    case 'continue':
      return `continue ${meaning.from} with ${meaning.part.first}-${meaning.part.end} of ${meaning.entity.length}`
    case 'complete':
      return `complete ${meaning.length}`
    case 'changed':
      return 'changed'
    case 'discard':
      return 'discard'
    default: {
      const { error } = meaning
      return `${meaning.kind} ${isNetmemError(error) ? error.code.replace('NETMEM_HTTP_', '') : error}`
    }
  }
}

type Row = readonly [name: string, Answer, meaning: string]

function table(title: string, plan: Plan, rows: readonly Row[], raw = false): void {
  describe(title, () => {
    for (const [name, given, meaning] of rows) {
      it(`${name}: ${meaning}`, () => assert.equal(short(classify(given, plan, raw)), meaning))
    }
  })
}

const coded = 'content-encoding: gzip'
const statuses: readonly Row[] = [
  ['503', answer(503, []), 'retry STATUS'],
  ['429', answer(429, ['retry-after: 9']), 'retry STATUS'],
  ['404', answer(404, []), 'fail STATUS'],
  ['304', answer(304, []), 'fail STATUS'],
  ['999', answer(999, []), 'fail STATUS'],
]

table('asked for the whole', { kind: 'whole', ranged: false }, [
  ...statuses,
  ['416', answer(416, []), 'fail STATUS'],
  ['200', answer(200, [ETAG], SIZE), `begin 0-${SIZE} of ${SIZE}`],
  ['200 of unknown length', answer(200, []), 'begin 0-undefined of undefined'],
  ['203', answer(203, [], 9), 'begin 0-9 of 9'],
  ['200 with its own range', answer(200, ['content-range: bytes 0-8/9'], 9), 'begin 0-9 of 9'],
  ['200 with a part', answer(200, ['content-range: bytes 0-8/10'], 9), 'fail RANGE'],
  ['200 with a later part', answer(200, ['content-range: bytes 1-9/10'], 9), 'fail RANGE'],
  ['200, coded', answer(200, [coded], 9), 'fail CONTENT_CODING'],
  ['206 with the whole', bytes(0, SIZE - 1, []), `begin 0-${SIZE} of ${SIZE}`],
  ['206 with a part', bytes(0, 9_999), `begin 0-10000 of ${SIZE}`],
  ['206 with a part, of no version', bytes(0, 9_999, []), 'fail RANGE'],
  ['206 of another length than it sends', { ...bytes(0, 8), body: { length: 8 } }, 'fail RANGE'],
  ['206, coded', bytes(0, SIZE - 1, [ETAG, coded]), 'fail RANGE'],
])
table(
  'asked for the whole, taken as it comes',
  { kind: 'whole', ranged: false },
  [
    ['200, coded', answer(200, [coded], 9), 'begin 0-9 of 9'],
    ['206, coded', bytes(0, SIZE - 1, [ETAG, coded]), `begin 0-${SIZE} of ${SIZE}`],
  ],
  true,
)
table('asked for the first range', { kind: 'whole', ranged: true }, [
  ...statuses,
  ['200', answer(200, [ETAG], SIZE), `begin 0-${SIZE} of ${SIZE}`],
  ['206', bytes(0, 9_999), `begin 0-10000 of ${SIZE}`],
  ['206 of an unknown total', bytes(0, 9_999, [ETAG], '*'), 'begin 0-10000 of undefined'],
  ['206 with a later part', bytes(1, 10_000), 'unranged RANGE'],
  ['206 with no range', answer(206, [ETAG], 9), 'unranged RANGE'],
  ['206 of no version', bytes(0, 9_999, []), 'unranged RANGE'],
  ['416', answer(416, [`content-range: bytes */${SIZE}`]), 'unranged RANGE'],
])

const rest = { kind: 'rest', ranged: true, from: 50_000, entity, canRestart: true } as const
const toEnd = bytes(50_000, SIZE - 1)
table('asked for the rest', rest, [
  ...statuses,
  ['206', toEnd, `continue 50000 with 50000-${SIZE} of ${SIZE}`],
  ['206 from an earlier byte', bytes(0, SIZE - 1), `continue 50000 with 0-${SIZE} of ${SIZE}`],
  ['206 with less', bytes(50_000, 59_999), `continue 50000 with 50000-60000 of ${SIZE}`],
  ['206 with very little', bytes(50_000, 50_000), 'unranged RANGE'],
  ['206 from a later byte', bytes(50_001, SIZE - 1), 'unranged RANGE'],
  ['206 that ends before', bytes(0, 49_999), 'unranged RANGE'],
  ['206 of another total', bytes(50_000, SIZE - 1, [ETAG], SIZE + 1), 'unranged RANGE'],
  ['206 of another version', bytes(50_000, SIZE - 1, ['etag: "2"']), 'changed'],
  [
    '206 of no version',
    bytes(50_000, SIZE - 1, []),
    `continue 50000 with 50000-${SIZE} of ${SIZE}`,
  ],
  ['206, coded', bytes(50_000, SIZE - 1, [ETAG, coded]), 'unranged RANGE'],
  ['200', answer(200, [ETAG], SIZE), `begin 0-${SIZE} of ${SIZE}`],
  ['200 of no version', answer(200, [], SIZE), `begin 0-${SIZE} of ${SIZE}`],
  ['200 of another length', answer(200, [ETAG], SIZE - 1), 'changed'],
  ['200 of another version', answer(200, ['etag: "2"'], SIZE), 'changed'],
  ['200 with the rest', answer(200, ['content-range: bytes 1-9/10'], 9), 'unranged RANGE'],
  ['416 of the same length', answer(416, [`content-range: bytes */${SIZE}`]), 'unranged RANGE'],
  ['416 of another length', answer(416, ['content-range: bytes */9']), 'changed'],
  ['416 of another version', answer(416, ['etag: "2"']), 'changed'],
  ['416 that says nothing', answer(416, []), 'unranged RANGE'],
])
table('asked for the rest, of which nothing was missing', { ...rest, from: SIZE }, [
  ['416', answer(416, [`content-range: bytes */${SIZE}`]), `complete ${SIZE}`],
  ['416 that says nothing', answer(416, []), `complete ${SIZE}`],
])
table(
  'asked for the rest of a body of unknown length',
  { ...rest, entity: { ...entity, length: undefined } },
  [
    ['206', toEnd, `continue 50000 with 50000-${SIZE} of ${SIZE}`],
    ['416 at its end', answer(416, ['content-range: bytes */50000']), 'complete 50000'],
    ['416 before its end', answer(416, ['content-range: bytes */9']), 'changed'],
    ['416 that says nothing', answer(416, []), 'unranged RANGE'],
  ],
)
table('asked for the rest of what was handed out', { ...rest, canRestart: false }, [
  ['200', answer(200, [ETAG], SIZE), `continue 50000 with 0-${SIZE} of ${SIZE}`],
  ['200 of no version', answer(200, [], SIZE), 'changed'],
])
table('asked for the whole when some of it is there', { ...rest, ranged: false }, [
  ['200', answer(200, [ETAG], SIZE), `begin 0-${SIZE} of ${SIZE}`],
  ['206 from a later byte', bytes(50_001, SIZE - 1), 'fail RANGE'],
  ['416', answer(416, []), 'fail STATUS'],
])

const date = 'Mon, 06 May 2024 08:00:00 GMT'
const dated = { length: SIZE, etag: undefined, lastModified: date, validator: date }
table(
  'asked for what follows a file',
  { kind: 'present', ranged: true, from: SIZE, entity: dated, canRestart: true },
  [
    ...statuses,
    ['416 of its length', answer(416, [`content-range: bytes */${SIZE}`]), `complete ${SIZE}`],
    [
      '416 of its length and another date',
      answer(416, [
        `content-range: bytes */${SIZE}`,
        'last-modified: Mon, 06 May 2024 08:00:01 GMT',
      ]),
      'discard',
    ],
    ['416 of another length', answer(416, ['content-range: bytes */9']), 'discard'],
    ['416 that says nothing', answer(416, []), 'discard'],
    ['206', bytes(SIZE, SIZE + 9, [ETAG], SIZE + 10), 'discard'],
    ['200', answer(200, [ETAG], 9), 'begin 0-9 of 9'],
    ['200 with a part', answer(200, ['content-range: bytes 1-9/10'], 9), 'unranged RANGE'],
  ],
)

const FROM = 2 ** 21
const large = { ...entity, length: 2 ** 23 }
const piece = { kind: 'piece', ranged: true, from: FROM, to: 2 ** 22, entity: large } as const
const size = `/${2 ** 23}`
const range = (first: number, last: number, fields = [ETAG]): Answer =>
  answer(206, [`content-range: bytes ${first}-${last}${size}`, ...fields], last - first + 1)
table('asked for one of several ranges', piece, [
  ...statuses,
  ['206', range(FROM, 2 ** 22 - 1), `continue ${FROM} with ${FROM}-${2 ** 22} of ${2 ** 23}`],
  [
    '206 with more',
    range(FROM, 2 ** 22),
    `continue ${FROM} with ${FROM}-${2 ** 22 + 1} of ${2 ** 23}`,
  ],
  [
    '206 from a block',
    range(2 ** 20, 2 ** 22 - 1),
    `continue ${FROM} with ${2 ** 20}-${2 ** 22} of ${2 ** 23}`,
  ],
  ['206 from far before', range(2 ** 20 - 1, 2 ** 22 - 1), 'unranged RANGE'],
  ['206 of another version', range(FROM, 2 ** 22 - 1, ['etag: "2"']), 'changed'],
  ['200', answer(200, [ETAG], 2 ** 23), 'unranged RANGE'],
  ['200 of another version', answer(200, ['etag: "2"'], 2 ** 23), 'changed'],
  ['416', answer(416, []), 'unranged RANGE'],
  ['416 of another length', answer(416, ['content-range: bytes */9']), 'changed'],
])
