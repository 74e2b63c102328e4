/**
 * Responses, whole and damaged, read here and by undici's parser (llhttp). What both take has to mean
 * the same. What one of them refuses has to be on a list, with the reason.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isNetmemError } from '../../errors.ts'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { ChunkParser } from './chunk-parser.ts'
import { framingOf } from './framing.ts'
import { type Parsed, parseWithLlhttp } from './llhttp.test.helper.ts'
import { HeadParser, type ParsedHead } from './response-head.ts'

/** Reads the response that `bytes` begin with, in pieces of `size` bytes, after which the connection ends. */
function parseHere(bytes: Buffer, size: number): Parsed | string {
  try {
    const parsed = headOf(bytes, size)
    if (parsed === undefined) return 'The head has no end'
    const { head, end } = parsed
    const framing = framingOf(head)
    const { status, reason } = head
    const fields = [...head.headers]
    const rest = bytes.subarray(end)
    if (framing.kind === 'close') return { status, reason, fields, body: rest, end: bytes.length }
    const body = framing.kind === 'length' ? exactly(rest, framing.bytes) : chunksOf(rest, size)
    if (body === undefined) return 'The body has no end'
    return { status, reason, fields, body: body.data, end: end + body.end }
  } catch (error) {
    assert.ok(isNetmemError(error), `an error with a code, not ${error}`)
    return error.message
  }
}

function headOf(bytes: Buffer, size: number): ParsedHead | undefined {
  const parser = new HeadParser(65_536)
  for (let at = 0; at < bytes.length; at += size) {
    const parsed = parser.feed(bytes.subarray(at, at + size))
    if (parsed !== undefined) return { head: parsed.head, end: at + parsed.end }
  }
  return undefined
}

interface Data {
  readonly data: Buffer
  readonly end: number
}

function exactly(bytes: Buffer, length: number): Data | undefined {
  return length > bytes.length ? undefined : { data: bytes.subarray(0, length), end: length }
}

function chunksOf(bytes: Buffer, size: number): Data | undefined {
  const framing = new ChunkParser()
  const data: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, Math.min(bytes.length, at + size))
    const taken = Math.min(framing.left, piece.length)
    if (taken > 0) {
      data.push(piece.subarray(0, taken))
      framing.left -= taken
    }
    at += taken > 0 ? taken : framing.edge(piece)
    if (framing.done) return { data: Buffer.concat(data), end: at }
  }
  return undefined
}

/** A difference that is meant to be: which parser refuses, with these words, and an example. */
interface Difference {
  readonly why: string
  readonly refuses: 'here' | 'llhttp'
  readonly words: RegExp
  readonly example: string
}

const OK = 'HTTP/1.1 200 OK\r\n'
const IN_CHUNKS = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const DIFFERENCES: readonly Difference[] = [
  {
    why: 'only servers may skip empty lines before a head (RFC 9112, 2.2)',
    refuses: 'here',
    words:
      /^The (response does not begin as HTTP\/1\.1|first line is not a status line): "(\\[rn]|")/,
    example: `\r\n${OK}Content-Length: 0\r\n\r\n`,
  },
  {
    why: 'the body of HTTP/2 and HTTP/0.9 is framed in other ways',
    refuses: 'here',
    words:
      /^The (response does not begin as HTTP\/1\.1|first line is not a status line): "HTTP\/[02]/,
    example: 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
  },
  {
    why: 'a reason phrase has no control characters (RFC 9112, 4)',
    refuses: 'here',
    words: /^The first line is not a status line: "HTTP\/1\.\d \d{3} .*(\\u00|\\[bfr]|\x7f)/,
    example: 'HTTP/1.1 200 \0OK\r\nContent-Length: 0\r\n\r\n',
  },
  {
    why: 'HTTP/1.0 has no chunks, so the end of such a body is in doubt (RFC 9112, 6.1)',
    refuses: 'here',
    words: /^The response is HTTP\/1\.0 and has a Transfer-Encoding/,
    example: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  },
  {
    why: 'other transfer codings were not asked for, and would have to be decoded',
    refuses: 'here',
    words: /^The transfer coding is not chunked alone/,
    example: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  },
  {
    why: 'lengths are numbers here, and 2^53 is the first that may be another one',
    refuses: 'here',
    words: /^Content-Length is beyond 2\^53/,
    example: 'HTTP/1.1 304 X\r\nContent-Length: 9007199254740993\r\n\r\n',
  },
  {
    why: 'blanks before an extension have to be parsed (RFC 9112, 7.1.1)',
    refuses: 'llhttp',
    words: /^Invalid character in chunk size$/,
    example: `${IN_CHUNKS}0 ;x\r\n\r\n`,
  },
  {
    why: 'nothing reads extensions, so only what could end them is refused here',
    refuses: 'llhttp',
    words: /^Invalid character in chunk extensions/,
    example: `${IN_CHUNKS}0;@\r\n\r\n`,
  },
  {
    why: 'one number several times may be taken for one (RFC 9112, 6.3)',
    refuses: 'llhttp',
    words: /^Invalid character in Content-Length$/,
    example: `${OK}Content-Length: 1, 1\r\n\r\nx`,
  },
  {
    why: 'the same, in two fields',
    refuses: 'llhttp',
    words: /^Duplicate Content-Length$/,
    example: `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`,
  },
  {
    why: 'a higher minor version is read as the highest that is known (RFC 9110, 2.5)',
    refuses: 'llhttp',
    words: /^Invalid HTTP version$/,
    example: 'HTTP/1.2 204 X\r\n\r\n',
  },
]

const line = (bytes: string): string => `${bytes}\r\n`
const blank = fc.constantFrom('', ' ', '\t', ' \t ')
const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/)
const value = fc.stringMatching(/^[!-~\xa0-\xff]([ \t!-~\xa0-\xff]{0,8}[!-~\xa0-\xff])?$/)
const field = fc.tuple(token, blank, value, blank).map(([n, a, v, b]) => line(`${n}:${a}${v}${b}`))
const statusLine = fc
  .tuple(
    fc.constantFrom('1.1', '1.1', '1.0'),
    fc.constantFrom(200, 200, 206, 404, 204, 304, 999),
    fc.constantFrom(' OK', ' ', '', ' Not at all \xe4'),
  )
  .map(([version, status, reason]) => line(`HTTP/${version} ${status}${reason}`))

const extension = fc.constantFrom('', ';x', ';x=y', ';x="y z"', ' ;x', ';a;b=c')
const chunk = fc
  .tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.constantFrom('', '0', '00'), extension)
  .map(([data, zeros, more]) => {
    const size = Buffer.byteLength(data, 'latin1').toString(16)
    return `${line(`${zeros}${size}${more}`)}${line(data)}`
  })
const trailers = fc.array(field, { maxLength: 2 }).map((lines) => lines.join(''))
const chunked = fc
  .tuple(fc.array(chunk, { maxLength: 4 }), extension, trailers)
  .map(([chunks, more, last]) => ({
    field: 'Transfer-Encoding: chunked',
    body: line(`${chunks.join('')}0${more}`) + line(last),
  }))
const sized = fc.string({ maxLength: 40 }).map((body) => ({
  field: `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
  body,
}))
const open = fc.string({ maxLength: 40 }).map((body) => ({ field: 'Connection: close', body }))
const odd = fc
  .constantFrom(
    'Content-Length: 3, 3',
    'Content-Length: 3\r\nContent-Length: 3',
    'Content-Length: 3\r\nContent-Length: 4',
    'Content-Length: +3',
    'Content-Length: 0x3',
    'Content-Length: 9007199254740993',
    'Content-Length: 99999999999999999999',
    'Content-Length:',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked, gzip',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: chunked\r\nContent-Length: 3',
    'Content-Length: 3\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  )
  .map((it) => ({ field: it, body: '3\r\nabc\r\n0\r\n\r\n' }))

/** Bytes that mean something, and some that mean nothing. */
const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  drop: fc.constantFrom(0, 1, 1, 2),
  put: fc.constantFrom(
    '',
    '',
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '0',
    '9',
    'f',
    '\0',
    '\x7f',
    '\xff',
    '"',
    'A',
  ),
})
const response = fc
  .tuple(
    statusLine,
    fc.array(field, { maxLength: 3 }),
    fc.oneof({ weight: 3, arbitrary: chunked }, sized, open, odd),
    fc.array(field, { maxLength: 2 }),
    fc.constantFrom('', '', 'HTTP/1.1 200 OK\r\n\r\n', 'x'),
    fc.array(edit, { maxLength: 3 }),
  )
  .map(([start, before, framing, behind, next, edits]) => {
    const whole =
      line(start + before.join('') + line(framing.field) + behind.join('')) + framing.body
    let text = whole + next
    for (const { at, drop, put } of edits) {
      const place = Math.floor(at * text.length)
      text = text.slice(0, place) + put + text.slice(place + drop)
    }
    return Buffer.from(text, 'latin1')
  })

const trimmed = (fields: Parsed['fields']): string[][] =>
  fields.map(([name, text]) => [name, text.replace(/[ \t]+$/, '')])

/** Returns which parser refuses what the other one takes, and its words, or `undefined` if they agree. */
function differenceOf(
  bytes: Buffer,
  size: number,
): (Pick<Difference, 'refuses'> & { words: string }) | undefined {
  const here = parseHere(bytes, size)
  const there = parseWithLlhttp(bytes, true) ?? 'It waits for more'
  if (typeof here === 'string') {
    return typeof there === 'string' ? undefined : { refuses: 'here', words: here }
  }
  if (typeof there === 'string') return { refuses: 'llhttp', words: there }
  assert.deepEqual([here.status, here.reason], [there.status, there.reason])
  assert.equal(here.body.toString('latin1'), there.body.toString('latin1'))
  assert.equal(here.end, there.end)
  // llhttp reports trailers as fields, behind those of the head.
  const { length } = here.fields
  assert.deepEqual(trimmed(here.fields), trimmed(there.fields.slice(0, length)))
  return undefined
}

describe('a response', () => {
  it('means the same here and to llhttp, or is refused by one of them for a reason', () => {
    fc.assert(
      fc.property(response, fc.integer({ min: 1, max: 60 }), (bytes, size) => {
        const found = differenceOf(bytes, size)
        if (found === undefined) return
        const { refuses, words } = found
        const isKnown = DIFFERENCES.some((it) => it.refuses === refuses && it.words.test(words))
        assert.ok(isKnown, `${refuses} refuses: ${words}`)
      }),
      // One seed, so that a run says something about a change, and not about luck.
      { numRuns: 20_000, seed: 2_015_796_989 },
    )
  })

  for (const { why, refuses, words, example } of DIFFERENCES) {
    it(`may be refused by one: ${why}`, () => {
      const found = differenceOf(Buffer.from(example, 'latin1'), example.length)
      assert.equal(found?.refuses, refuses)
      assert.match(found?.words ?? '', words)
    })
  }
})
