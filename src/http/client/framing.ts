/** Framing of bodies: where a response's body ends (RFC 9112, 6.3). */

import { protocolError } from '../http-error.ts'
import { excerpt } from './field-line.ts'
import type { ResponseHead } from './response-head.ts'

const DIGITS = /^\d+$/

/** Delimiter of a body. */
export type BodyFraming =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  /** The end of the connection. A break looks the same. */
  | { readonly kind: 'close' }

/**
 * Returns the framing of the response to a GET.
 * @throws NETMEM_HTTP_PROTOCOL where the head contradicts itself.
 */
export function framingOf(head: ResponseHead): BodyFraming {
  const lengths = head.headers.all('content-length')
  const codings = head.headers.all('transfer-encoding')
  if (lengths.length > 0 && codings.length > 0) {
    throw protocolError('The response has both Transfer-Encoding and Content-Length')
  }
  const length = lengths.length > 0 ? contentLength(lengths) : undefined
  if (codings.length > 0) checkChunked(head, codings)
  if (head.status < 200 || head.status === 204 || head.status === 304) {
    return { kind: 'length', bytes: 0 }
  }
  if (codings.length > 0) return { kind: 'chunked' }
  return length === undefined ? { kind: 'close' } : { kind: 'length', bytes: length }
}

/** True if the connection may be used again after the body. */
export function staysOpen(head: ResponseHead, framing: BodyFraming): boolean {
  if (framing.kind === 'close') return false
  const connection = head.headers.get('connection')
  // Most heads need no pattern.
  if (connection === undefined) return head.version === '1.1'
  if (connection === 'keep-alive') return true
  const options = connection.toLowerCase().split(/[\s,]+/)
  if (options.includes('close')) return false
  return head.version === '1.1' || options.includes('keep-alive')
}

/** Returns the value of Content-Length, which may say one number several times (RFC 9112, 6.3). */
function contentLength(values: readonly string[]): number {
  let text = values[0] ?? ''
  if (values.length > 1 || !DIGITS.test(text)) {
    const said = new Set(values.join(',').split(/[ \t]*,[ \t]*/))
    text = [...said][0] ?? ''
    if (said.size > 1 || !DIGITS.test(text)) {
      throw protocolError(`Content-Length is not one number: ${excerpt(values.join(', '))}`)
    }
  }
  const bytes = Number(text)
  if (!Number.isSafeInteger(bytes)) throw protocolError('Content-Length is beyond 2^53 − 1')
  return bytes
}

function checkChunked(head: ResponseHead, codings: readonly string[]): void {
  if (head.version === '1.0') {
    throw protocolError('The response is HTTP/1.0 and has a Transfer-Encoding')
  }
  if (codings.length > 1 || !/^chunked$/i.test(codings[0] ?? '')) {
    throw protocolError(`The transfer coding is not chunked alone: ${excerpt(codings.join(', '))}`)
  }
}
