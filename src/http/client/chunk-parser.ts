/**
 * Parser of chunked bodies (RFC 9112, 7.1). It reads chunk edges only. The caller moves the data
 * between them, of which {@link ChunkParser.left} bytes follow.
 */

import { protocolError } from '../http-error.ts'
import { parseFieldLine } from './field-line.ts'

/** Limit of one chunk's size line with its extensions, which nothing reads. */
const MAX_LINE_BYTES = 4096
/** Limit of all extensions together, so that they cannot outweigh the body. */
const MAX_EXTENSION_BYTES = 64 * 1024
const MAX_TRAILER_BYTES = 16 * 1024

const CR = 0x0d
const LF = 0x0a
const TAB = 0x09
const SPACE = 0x20
const SEMICOLON = 0x3b
const DELETE = 0x7f

const SIZE = 0
const BLANKS = 1
const EXTENSION = 2
const SIZE_LF = 3
const DATA = 4
const DATA_CR = 5
const DATA_LF = 6
const TRAILER = 7
const TRAILER_LF = 8
const DONE = 9

export class ChunkParser {
  #state: number = SIZE
  #size = 0
  #digits = 0
  #lineBytes = 0
  #extensionBytes = 0
  #trailerBytes = 0
  #trailer = ''
  #left = 0

  /** Bytes of data before the next edge. */
  get left(): number {
    return this.#left
  }

  /** True if the body is complete, trailers included. */
  get done(): boolean {
    return this.#state === DONE
  }

  /** Notes that the caller has taken `bytes` of the {@link left} bytes. */
  took(bytes: number): void {
    this.#left -= bytes
    if (this.#left === 0) this.#state = DATA_CR
  }

  /**
   * Consumes an edge from the start of `bytes`, and returns its length. Stops where data begins, and
   * at the end of the body.
   * @throws NETMEM_HTTP_PROTOCOL for an edge that breaks the rules.
   */
  edge(bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.byteLength && this.#state !== DATA && this.#state !== DONE) {
      this.#next(bytes[at] ?? 0)
      at++
    }
    return at
  }

  #next(byte: number): void {
    switch (this.#state) {
      case SIZE:
        this.#inSize(byte)
        break
      case BLANKS:
      case EXTENSION:
        this.#inExtension(byte)
        break
      case SIZE_LF:
        expect(byte, LF, 'A chunk size ends with a CR alone')
        this.#left = this.#size
        this.#state = this.#size === 0 ? TRAILER : DATA
        break
      case DATA_CR:
        expect(byte, CR, 'A chunk has more data than it announced')
        this.#state = DATA_LF
        break
      case DATA_LF:
        expect(byte, LF, 'A chunk ends with a CR alone')
        this.#beginSize()
        break
      case TRAILER:
        this.#inTrailer(byte)
        break
      default:
        expect(byte, LF, 'A trailer ends with a CR alone')
        this.#trailerEnded()
    }
  }

  #beginSize(): void {
    this.#state = SIZE
    this.#size = 0
    this.#digits = 0
    this.#lineBytes = 0
  }

  #inSize(byte: number): void {
    const digit = hexDigit(byte)
    if (digit >= 0) {
      this.#countLine()
      this.#digits++
      this.#size = this.#size * 16 + digit
      if (this.#size > Number.MAX_SAFE_INTEGER) {
        throw protocolError('A chunk size is beyond 2^53 − 1')
      }
      return
    }
    if (this.#digits === 0) throw protocolError('A chunk has no size')
    if (byte === CR) this.#state = SIZE_LF
    else if (byte === SEMICOLON) this.#state = EXTENSION
    else if (byte === SPACE || byte === TAB) this.#state = BLANKS
    else throw protocolError('A chunk size is not hexadecimal')
  }

  #inExtension(byte: number): void {
    this.#countLine()
    if (++this.#extensionBytes > MAX_EXTENSION_BYTES) {
      throw protocolError(`Chunk extensions have more than ${MAX_EXTENSION_BYTES} bytes`)
    }
    if (this.#state === BLANKS) {
      // Only an extension may follow them (RFC 9112, 7.1.1).
      if (byte === SEMICOLON) this.#state = EXTENSION
      else if (byte !== SPACE && byte !== TAB) {
        throw protocolError('A chunk size is followed by something other than an extension')
      }
      return
    }
    if (byte === CR) this.#state = SIZE_LF
    else if ((byte < SPACE && byte !== TAB) || byte === DELETE) {
      throw protocolError('A chunk extension has a control character in it')
    }
  }

  #countLine(): void {
    if (++this.#lineBytes > MAX_LINE_BYTES) {
      throw protocolError(`A chunk size has more than ${MAX_LINE_BYTES} bytes`)
    }
  }

  #inTrailer(byte: number): void {
    if (++this.#trailerBytes > MAX_TRAILER_BYTES) {
      throw protocolError(`The trailers have more than ${MAX_TRAILER_BYTES} bytes`)
    }
    if (byte === CR) this.#state = TRAILER_LF
    else if (byte === LF) throw protocolError('A trailer ends without CR')
    else this.#trailer += String.fromCharCode(byte)
  }

  #trailerEnded(): void {
    if (this.#trailer === '') {
      this.#state = DONE
      return
    }
    parseFieldLine(this.#trailer, 0, this.#trailer.length, [], [])
    this.#trailer = ''
    this.#state = TRAILER
  }
}

function expect(byte: number, expected: number, otherwise: string): void {
  if (byte !== expected) throw protocolError(otherwise)
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
