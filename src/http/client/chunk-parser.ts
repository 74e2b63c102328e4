/**
 * Parser of chunked bodies (RFC 9112, 7.1). It reads chunk edges only, line by line. The caller takes
 * the data between them.
 */

import { protocolError } from '../http-error.ts'
import { excerpt, parseFieldLine } from './field-line.ts'

/** Limit of one chunk's size line with its extensions, which nothing reads. */
const MAX_LINE_BYTES = 4096
/** Limit of all extensions together, so that they cannot outweigh the body. */
const MAX_EXTENSION_BYTES = 64 * 1024
const MAX_TRAILER_BYTES = 16 * 1024

const CR = 0x0d
const LF = 0x0a
const LINE_END = '\r\n'

// Each pattern also takes the beginning of a line, so that an invalid line is refused before its end.
// Only an extension may follow blanks behind a size.
const SIZE_LINE = /^([0-9a-f]+)(?:[ \t]*|(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?(?:\r\n?)?)$/i
const TRAILER_LINE = /^[^\r\n]*(?:\r\n?)?$/

/** Digits of a size below 256 MiB, which an engine keeps as a small integer. */
const PLAIN_DIGITS = 7

export class ChunkParser {
  /** Bytes of data before the next edge. The caller subtracts the bytes that it takes. */
  left = 0
  #expected: 'size' | 'end of data' | 'trailer' | 'nothing' = 'size'
  /** Bytes of a line so far. */
  #line = ''
  #extensionBytes = 0
  #trailerBytes = 0

  /** True if the body is complete, trailers included. */
  get done(): boolean {
    return this.#expected === 'nothing'
  }

  /**
   * Consumes an edge from the start of `bytes`, and returns its length. Stops where data begins, and
   * at the end of the body. Called when no data is {@link left}.
   * @throws NETMEM_HTTP_PROTOCOL for an edge that breaks the rules.
   */
  edge(bytes: Uint8Array): number {
    const plain = this.#line === '' ? this.#plainEdge(bytes) : 0
    return plain > 0 ? plain : this.#edgeLines(bytes)
  }

  /**
   * Reads the edge between two chunks that is here whole and has no extensions. Returns its length, or
   * 0 for any other. A string and a match for each chunk would cost seven times as much.
   */
  #plainEdge(bytes: Uint8Array): number {
    let at = 0
    if (this.#expected === 'end of data') {
      if (bytes[0] !== CR || bytes[1] !== LF) return 0
      at = 2
    } else if (this.#expected !== 'size') return 0
    const end = at + PLAIN_DIGITS
    let size = 0
    for (let digit = hexDigit(bytes[at]); digit >= 0 && at < end; digit = hexDigit(bytes[++at])) {
      size = size * 16 + digit
    }
    if (size === 0 || bytes[at] !== CR || bytes[at + 1] !== LF) return 0
    this.left = size
    this.#expected = 'end of data'
    return at + 2
  }

  #edgeLines(bytes: Uint8Array): number {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    while (at < text.byteLength && this.left === 0 && !this.done) {
      const lf = text.indexOf(LF, at)
      const end = lf < 0 ? text.byteLength : lf + 1
      this.#line += text.toString('latin1', at, end)
      at = end
      this.#take(this.#line, lf >= 0)
      if (lf >= 0) this.#line = ''
    }
    return at
  }

  /** Takes a line, or refuses the beginning of one that cannot become valid. */
  #take(line: string, isWhole: boolean): void {
    switch (this.#expected) {
      case 'size':
        this.#takeSize(line, isWhole)
        break
      case 'end of data':
        if (!LINE_END.startsWith(line)) {
          throw protocolError('A chunk has more data than it announced')
        }
        if (isWhole) this.#expected = 'size'
        break
      default:
        this.#takeTrailer(line, isWhole)
    }
  }

  #takeSize(line: string, isWhole: boolean): void {
    const digits = SIZE_LINE.exec(line)?.[1]
    if (digits === undefined) throw protocolError(`A chunk has no valid size: ${excerpt(line)}`)
    if (line.length > MAX_LINE_BYTES) {
      throw protocolError(`A chunk size has more than ${MAX_LINE_BYTES} bytes`)
    }
    const bytes = Number.parseInt(digits, 16)
    if (bytes > Number.MAX_SAFE_INTEGER) throw protocolError('A chunk size is beyond 2^53 − 1')
    if (!isWhole) return
    this.#extensionBytes += line.length - digits.length - LINE_END.length
    if (this.#extensionBytes > MAX_EXTENSION_BYTES) {
      throw protocolError(`Chunk extensions have more than ${MAX_EXTENSION_BYTES} bytes`)
    }
    this.left = bytes
    this.#expected = bytes === 0 ? 'trailer' : 'end of data'
  }

  #takeTrailer(line: string, isWhole: boolean): void {
    if (this.#trailerBytes + line.length > MAX_TRAILER_BYTES) {
      throw protocolError(`The trailers have more than ${MAX_TRAILER_BYTES} bytes`)
    }
    if (!TRAILER_LINE.test(line)) {
      throw protocolError(`A trailer does not end with CR and LF: ${excerpt(line)}`)
    }
    if (!isWhole) return
    this.#trailerBytes += line.length
    if (line === LINE_END) this.#expected = 'nothing'
    else parseFieldLine(line, 0, line.length - LINE_END.length, [], [])
  }
}

/** Returns -1 for any other byte, and for none. */
function hexDigit(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
