/**
 * Strict parser of HTTP/1.1 response heads, over bytes in pieces of any size. It refuses forms that
 * RFC 9112 tolerates and smugglers use: bare CR or LF, folded lines, a space before the colon, NUL.
 */

import { HttpError, protocolError } from '../http-error.ts'
import { excerpt, isFieldText, parseFieldLine } from './field-line.ts'
import { HeaderList } from './header-list.ts'

/** Status line and fields of a response. */
export interface ResponseHead {
  /** Version of HTTP. */
  readonly version: '1.0' | '1.1'
  /** 100 to 999. Those from 600 on are errors of the server, as 5xx are (RFC 9110, 15). */
  readonly status: number
  /** Reason phrase. It is often empty and has no fixed meaning: use the status. */
  readonly reason: string
  /** Fields of the head. */
  readonly headers: HeaderList
}

/** A head, and its end in the bytes that were given last. */
export interface ParsedHead {
  readonly head: ResponseHead
  readonly end: number
}

/** Default limit of a head: curl's limit of one field, and more than servers send. */
export const DEFAULT_MAX_HEAD_BYTES: number = 64 * 1024
export const LARGEST_MAX_HEAD_BYTES: number = 1024 * 1024
const MAX_FIELDS = 1000

const LINE_END = '\r\n'
const END = '\r\n\r\n'
const START = 'HTTP/1.'
const CR = 0x0d
const LF = 0x0a

/** Parses one head, which may arrive in any number of pieces. */
export class HeadParser {
  readonly #maxBytes: number
  /** Bytes of a head that arrives in pieces. */
  #kept: Buffer | undefined
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * Takes the next bytes. Returns `undefined` until the head is complete.
   * @throws NETMEM_HTTP_PROTOCOL and NETMEM_HTTP_HEAD_TOO_LARGE, each as soon as it is certain.
   */
  feed(bytes: Uint8Array): ParsedHead | undefined {
    const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const before = this.#length
    if (before === 0) {
      // Mostly the whole head is in the first bytes, and is parsed in place.
      const end = given.indexOf(END, 0, 'latin1')
      if (end >= 0) return this.#parsed(given, end, end + END.length)
    }
    // Room for as many bytes as prove that the head is too large.
    this.#kept ??= Buffer.allocUnsafe(this.#maxBytes + END.length)
    this.#length += given.copy(this.#kept, before)
    const all = this.#kept.subarray(0, this.#length)
    const end = all.indexOf(END, Math.max(0, before - END.length + 1), 'latin1')
    if (end >= 0) return this.#parsed(all, end, end + END.length - before)
    this.#checkUnfinished(all, before)
    return undefined
  }

  #parsed(bytes: Buffer, end: number, consumed: number): ParsedHead {
    if (end + END.length > this.#maxBytes) throw this.#tooLarge()
    return { head: parseHead(bytes.toString('latin1', 0, end)), end: consumed }
  }

  /** Checks a head that has no end yet: a peer of another protocol may never send one. */
  #checkUnfinished(all: Buffer, before: number): void {
    const start = all.toString('latin1', 0, START.length)
    if (!START.startsWith(start)) {
      throw protocolError(
        `The response does not begin as HTTP/1.1: ${excerpt(all.toString('latin1', 0, 60))}`,
      )
    }
    for (let at = all.indexOf(LF, before); at >= 0; at = all.indexOf(LF, at + 1)) {
      if (all[at - 1] !== CR) throw protocolError('The head has a line that ends without CR')
    }
    if (all.byteLength >= this.#maxBytes) throw this.#tooLarge()
  }

  #tooLarge(): HttpError {
    return new HttpError(
      'NETMEM_HTTP_HEAD_TOO_LARGE',
      `The response's head has more than ${this.#maxBytes} bytes; raise maxHeadBytes if that is expected.`,
    )
  }
}

/** Parses a head without the empty line that ends it. */
function parseHead(text: string): ResponseHead {
  const statusEnd = endOfLine(text, 0)
  const statusLine = text.slice(0, statusEnd)
  // Many servers leave out the space before an empty reason phrase.
  const match = /^HTTP\/1\.(\d) ([1-9]\d\d)(?: (.*))?$/.exec(statusLine)
  if (match === null || !isFieldText(statusLine)) {
    throw protocolError(`The first line is not a status line: ${excerpt(statusLine)}`)
  }
  const names: string[] = []
  const values: string[] = []
  for (let end = statusEnd; end < text.length; ) {
    const start = end + LINE_END.length
    end = endOfLine(text, start)
    if (names.length === MAX_FIELDS) throw protocolError(`The head has over ${MAX_FIELDS} fields`)
    parseFieldLine(text, start, end, names, values)
  }
  return {
    version: match[1] === '0' ? '1.0' : '1.1',
    status: Number(match[2]),
    reason: match[3] ?? '',
    headers: new HeaderList(names, values),
  }
}

function endOfLine(text: string, start: number): number {
  const end = text.indexOf(LINE_END, start)
  return end < 0 ? text.length : end
}
