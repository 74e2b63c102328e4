import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isNetmemError } from '../../errors.ts'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { assertCode, some } from '../../testing/pools.test.helper.ts'
import { HeadParser, type ParsedHead } from './response-head.ts'

const MAX = 65_536

function parse(text: string, max = MAX): ParsedHead | undefined {
  return new HeadParser(max).feed(Buffer.from(text, 'latin1'))
}

/** Parses `bytes` in pieces of the given sizes, the last of which is repeated. */
function parseCut(bytes: Buffer, sizes: readonly number[], max = MAX): ParsedHead | undefined {
  const parser = new HeadParser(max)
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[Math.min(i, sizes.length - 1)] ?? 1
    const parsed = parser.feed(bytes.subarray(at, at + size))
    if (parsed !== undefined) return { head: parsed.head, end: at + parsed.end }
    at += size
  }
  return undefined
}

describe('response heads', () => {
  it('are parsed, with what follows left alone', () => {
    const text =
      'HTTP/1.1 200 OK\r\nContent-Length:5\r\nSet-Cookie: a\r\nset-cookie:\t b \t\r\n\r\n'
    const { head, end } = some(parse(`${text}hello`))
    assert.equal(end, text.length)
    assert.deepEqual([head.version, head.status, head.reason], ['1.1', 200, 'OK'])
    assert.equal(head.headers.get('CONTENT-length'), '5')
    assert.equal(head.headers.get('set-cookie'), 'a, b')
    assert.deepEqual(head.headers.all('Set-Cookie'), ['a', 'b'])
    assert.equal(head.headers.get('etag'), undefined)
    assert.deepEqual([...head.headers][0], ['content-length', '5'])
    assert.equal(head.headers.size, 3)
  })

  it('may have no reason, no fields, empty values, and bytes beyond ASCII', () => {
    assert.equal(some(parse('HTTP/1.1 204\r\n\r\n')).head.reason, '')
    assert.equal(some(parse('HTTP/1.0 204 \r\n\r\n')).head.version, '1.0')
    const { head } = some(parse('HTTP/1.1 404 N\xf6\r\nX:\r\nY: \xe4\r\n\r\n'))
    assert.deepEqual([head.reason, head.headers.get('x'), head.headers.get('y')], ['Nö', '', 'ä'])
  })

  it('may have any status of three digits, and say a thing twice', () => {
    assert.equal(some(parse('HTTP/1.1 999 Denied\r\n\r\n')).head.status, 999)
    const { headers } = some(parse('HTTP/1.1 200 OK\r\nA: 1\r\nA: 1\r\nB: 1\r\nB: 2\r\n\r\n')).head
    const single = ['a', 'b', 'c'].map((name) => headers.single(name))
    assert.deepEqual(single, ['1', undefined, undefined])
  })

  const refused = [
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['a bare CR', 'HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n'],
    ['a bare LF', 'HTTP/1.1 200 OK\nA: b\r\n\r\n'],
    ['bare LFs only', 'HTTP/1.1 200 OK\nA: b\n\n'],
    ['NUL', 'HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n'],
    ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
    ['a folded first line', 'HTTP/1.1 200 OK\r\n A: b\r\n\r\n'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
    ['no name', 'HTTP/1.1 200 OK\r\n: b\r\n\r\n'],
    ['no colon', 'HTTP/1.1 200 OK\r\nA b\r\n\r\n'],
    ['a name with a bracket', 'HTTP/1.1 200 OK\r\nA(: b\r\n\r\n'],
    ['an empty line before it', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ] as const
  for (const [what, text] of refused) {
    it(`are refused with ${what}`, () => {
      assertCode('NETMEM_HTTP_PROTOCOL', () => parse(text))
      assertCode('NETMEM_HTTP_PROTOCOL', () => parseCut(Buffer.from(text, 'latin1'), [1]))
    })
  }

  it('are refused as soon as they cannot become one', () => {
    assertCode('NETMEM_HTTP_PROTOCOL', () => parse('<'))
    assertCode('NETMEM_HTTP_PROTOCOL', () => parse('HTTP/3'))
    assert.equal(parse('HTTP/1'), undefined)
  })

  it('are refused when they are too large, and not one byte before', () => {
    const text = `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(2000)}\r\n\r\n`
    assert.ok(parse(text, text.length))
    assertCode('NETMEM_HTTP_HEAD_TOO_LARGE', () => parse(text, text.length - 1))
    assertCode('NETMEM_HTTP_HEAD_TOO_LARGE', () => parse(text.slice(0, 1500), 1500))
    assertCode('NETMEM_HTTP_HEAD_TOO_LARGE', () =>
      parseCut(Buffer.from(text), [1], text.length - 1),
    )
  })

  it('have at most a thousand fields', () => {
    const fields = (count: number): string => `HTTP/1.1 200 OK\r\n${'a:b\r\n'.repeat(count)}\r\n`
    assert.equal(some(parse(fields(1000))).head.headers.size, 1000)
    assertCode('NETMEM_HTTP_PROTOCOL', () => parse(fields(1001)))
  })

  it('of 1 MiB arrive a byte at a time, and full of spaces, in no time', () => {
    const text = `HTTP/1.1 200 OK\r\nA: x${' '.repeat(2 ** 20 - 40)}y\r\n\r\n`
    const began = process.cpuUsage()
    const parsed = some(parseCut(Buffer.from(text), [1], 2 ** 20))
    assert.equal(parsed.end, text.length)
    // Processor time, since a busy machine takes longer.
    assert.ok(process.cpuUsage(began).user < 5_000_000)
  })

  const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,20}$/)
  const value = fc.stringMatching(/^[!-~]{0,3}([!-~\t ]{0,20}[!-~])?$/)

  it('come out as they went in, however they are cut', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 599 }),
        fc.array(fc.tuple(token, value), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
        fc.string(),
        (status, fields, sizes, rest) => {
          const lines = fields.map(([name, text]) => `${name}: ${text}\r\n`).join('')
          const text = `HTTP/1.1 ${status} x y\r\n${lines}\r\n`
          const { head, end } = some(parseCut(Buffer.from(text + rest, 'latin1'), sizes))
          assert.equal(end, text.length)
          assert.equal(head.status, status)
          assert.deepEqual(
            [...head.headers],
            fields.map(([name, given]) => [
              name.toLowerCase(),
              given.replace(/^[\t ]+|[\t ]+$/g, ''),
            ]),
          )
        },
      ),
    )
  })

  it('are parsed or refused for any bytes, cut or not', () => {
    const piece = fc.oneof(
      fc.constantFrom('HTTP/1.1 200 OK', '\r\n', '\r', '\n', ':', ' ', '\t', 'A: b', '\0', 'a'),
      fc.string({ maxLength: 5 }),
    )
    const outcome = (work: () => ParsedHead | undefined): unknown => {
      try {
        const parsed = work()
        return parsed === undefined
          ? 'more'
          : [parsed.end, parsed.head.status, [...parsed.head.headers]]
      } catch (error) {
        assert.ok(isNetmemError(error), String(error))
        return 'refused'
      }
    }
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.integer({ min: 1, max: 7 }),
        (pieces, size) => {
          const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${pieces.join('')}\r\n\r\n`, 'latin1')
          const whole = outcome(() => new HeadParser(MAX).feed(bytes))
          const cut = outcome(() => parseCut(bytes, [size]))
          assert.deepEqual(cut, whole)
        },
      ),
      { numRuns: 1000 },
    )
  })
})
