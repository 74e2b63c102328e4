import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isNetmemError } from '../../errors.ts'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { assertCode } from '../../testing/pools.test.helper.ts'
import { ChunkParser } from './chunk-parser.ts'

interface Decoded {
  readonly data: Buffer
  /** Bytes of the input that belong to the body. */
  readonly end: number
  readonly done: boolean
}

/** Decodes in pieces of `size` bytes. */
function decode(bytes: Buffer, size = bytes.length): Decoded {
  const framing = new ChunkParser()
  const data: Buffer[] = []
  let end = 0
  for (let at = 0; at < bytes.length && !framing.done; at += size) {
    const piece = bytes.subarray(at, at + size)
    for (let from = 0; from < piece.length && !framing.done; ) {
      const taken = Math.min(framing.left, piece.length - from)
      if (taken > 0) {
        data.push(piece.subarray(from, from + taken))
        framing.left -= taken
      }
      from += taken
      if (framing.left === 0) from += framing.edge(piece.subarray(from))
      end = at + from
    }
  }
  return { data: Buffer.concat(data), end, done: framing.done }
}

function text(encoded: string, size?: number): Decoded {
  return decode(Buffer.from(encoded, 'latin1'), size)
}

describe('chunked framing', () => {
  it('finds data between edges, and leaves alone what follows', () => {
    const encoded = '5\r\nhello\r\n00A;x=y\r\n, chunked!\r\n3 \t;a="b"\r\nend\r\n0\r\nA: b\r\n\r\n'
    for (const size of [1, 2, 3, 7, 1000]) {
      const { data, end, done } = text(`${encoded}HTTP/1.1`, size)
      assert.deepEqual([data.toString(), end, done], ['hello, chunked!end', encoded.length, true])
    }
  })

  it('takes the largest size, and no larger one', () => {
    const framing = new ChunkParser()
    framing.edge(Buffer.from('1fffffffffffff\r\n'))
    assert.equal(framing.left, Number.MAX_SAFE_INTEGER)
    for (const size of ['20000000000000', 'ffffffffffffffff', '10000000000000005']) {
      assertCode('NETMEM_HTTP_PROTOCOL', () => text(`${size}\r\n`))
    }
  })

  const refused = [
    ['no size', '\r\n'],
    ['a size that is negative', '-5\r\nhello'],
    ['a size with 0x', '0x5\r\nhello'],
    ['a size with a plus', '+5\r\nhello'],
    ['a space before the size', ' 5\r\nhello'],
    ['something behind the size', '5 6\r\nhello'],
    ['blanks only behind the size', '5 \r\nhello'],
    ['a size that ends with LF', '5\nhello'],
    ['a size that ends with CR', '5\rhello'],
    ['more data than announced', '5\r\nhello!\r\n'],
    ['data that ends with LF', '5\r\nhello\n0\r\n\r\n'],
    ['data that ends with CR', '5\r\nhello\r0\r\n\r\n'],
    ['NUL in an extension', '5;\0\r\nhello'],
    ['LF in an extension', '5;a\nb\r\nhello'],
    ['an invalid trailer', '0\r\nnone\r\n\r\n'],
    ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n'],
    ['a trailer that ends with LF', '0\r\nA: b\n\r\n'],
    ['a body that ends with LF', '0\r\n\n'],
    ['a long size', `${'0'.repeat(5000)}\r\n`],
    ['a long extension', `5;${'a'.repeat(5000)}\r\nhello`],
    ['long trailers', `0\r\n${'A: b\r\n'.repeat(5000)}\r\n`],
    ['extensions that outweigh the body', `1;${'a'.repeat(4000)}\r\nx\r\n`.repeat(20)],
  ] as const
  for (const [what, encoded] of refused) {
    it(`refuses ${what}`, () => {
      for (const size of [1, encoded.length]) {
        assertCode('NETMEM_HTTP_PROTOCOL', () => text(encoded, size))
      }
    })
  }

  it('returns what was encoded, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 10 }),
        fc.integer({ min: 1, max: 400 }),
        fc.boolean(),
        (chunks, size, upper) => {
          const parts = chunks.flatMap((chunk) => {
            const hex = chunk.byteLength.toString(16)
            return [`${upper ? hex.toUpperCase() : hex}\r\n`, chunk, '\r\n']
          })
          const encoded = Buffer.concat([...parts, '0\r\n\r\n'].map((part) => Buffer.from(part)))
          const { data, end, done } = decode(Buffer.concat([encoded, Buffer.from('rest')]), size)
          assert.ok(done)
          assert.equal(end, encoded.length)
          assert.equal(Buffer.compare(data, Buffer.concat(chunks)), 0)
        },
      ),
    )
  })

  it('decodes or refuses any bytes, cut or not', () => {
    const piece = fc.constantFrom('5', 'a', '0', '\r\n', '\r', '\n', ';', ' ', 'hello', ':', '\0')
    const outcome = (work: () => Decoded): unknown => {
      try {
        const { data, end, done } = work()
        return [data.toString('latin1'), end, done]
      } catch (error) {
        assert.ok(isNetmemError(error), String(error))
        return 'refused'
      }
    }
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        (pieces, size) => {
          const encoded = pieces.join('')
          assert.deepEqual(
            outcome(() => text(encoded, size)),
            outcome(() => text(encoded)),
          )
        },
      ),
      { numRuns: 1000 },
    )
  })
})
