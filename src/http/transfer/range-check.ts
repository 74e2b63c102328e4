/** Tells which bytes of the body a response brings, and if they continue the transfer. */

import type { Body } from '../client/body.ts'
import { isIdentity } from '../client/content-coding.ts'
import type { Exchange } from '../client/exchange.ts'
import { excerpt } from '../client/field-line.ts'
import { shown } from '../client/request.ts'
import { HttpError } from '../http-error.ts'
import { parseContentRange } from './content-range.ts'
import { PartBody } from './part-body.ts'
import type { Settings } from './settings.ts'

/** The bytes of the whole body that a response brings. */
export interface Part {
  readonly first: number
  /** Behind the last one; `undefined` where only the end of the response tells. */
  readonly end: number | undefined
  /** Bytes of the whole body, where the response says it. */
  readonly total: number | undefined
}

/** A response, and the part of the body that it brings. */
export interface Answer {
  readonly response: Exchange
  readonly part: Part
}

/**
 * Reads what a response with a body says that it brings. Throws NETMEM_HTTP_RANGE where its status,
 * its `Content-Range` and its length contradict each other.
 */
export function partOf({ head, body, url }: Exchange, { raw }: Settings): Part {
  const { length } = body
  const text = head.headers.single('content-range')
  const range = parseContentRange(text ?? '')
  const bytes = range === undefined ? undefined : range.last - range.first + 1
  const fits = bytes !== undefined && (length === undefined || length === bytes)
  if (head.status === 206) {
    if (!raw && !isIdentity(head)) throw rangeError(url, 'sent a part of a coded body')
    if (range === undefined || !fits)
      throw rangeError(url, `answered 206 with ${said(text, length)}`)
    return { first: range.first, end: range.last + 1, total: range.total }
  }
  // The field means nothing here (RFC 9110, 14.4), but servers send parts this way.
  const isPart = head.headers.all('content-range').some((value) => /\d-\d/.test(value))
  if (!isPart) return { first: 0, end: length, total: length }
  if (range === undefined || !fits || bytes !== range.total) {
    throw rangeError(url, `answered ${head.status} with ${said(text, length)}`)
  }
  return { first: 0, end: bytes, total: bytes }
}

/** Fewest bytes of a part that ends before it has to; in smaller ones a body might take for ever. */
const LEAST_PART_BYTES = 4096

/**
 * Throws NETMEM_HTTP_RANGE unless `part` goes on at byte `from`, of a body of `total` bytes where
 * that is known, when bytes up to `to` were asked for.
 */
export function checkJoins(
  url: URL,
  part: Part,
  from: number,
  total: number | undefined,
  to: number | undefined = total ?? part.total,
): void {
  const { first, end = from + 1 } = part
  const sent = `sent bytes ${first} to ${end - 1}`
  if (
    first > from ||
    end <= from ||
    (to !== undefined && end < to && end - first < LEAST_PART_BYTES)
  ) {
    throw rangeError(url, `${sent} where those from ${from} on were asked for`)
  }
  if (total === undefined) return
  if (part.total !== undefined && part.total !== total) {
    throw rangeError(url, `${sent} of ${part.total}, and said before that there are ${total}`)
  }
  if (end > total) throw rangeError(url, `${sent}, and said before that there are ${total}`)
}

/**
 * The body of `response`, which brings `part`, from byte `from` of the whole body on and up to byte
 * `to`. Bytes of the part behind `to` are left alone, and bytes behind the part are NETMEM_HTTP_RANGE.
 */
export function bodyFrom(
  { body, url }: Exchange,
  part: Part,
  from: number,
  to: number | undefined = part.end,
): Body {
  const { first, end } = part
  const skip = from - first
  const length = to === undefined ? Number.POSITIVE_INFINITY : to - from
  // Its own framing says the same, and bytes go the shortest way.
  if (skip === 0 && to === end && body.length === (to === undefined ? to : length)) return body
  if (end === undefined || to !== end) return new PartBody(body, skip, length)
  const tooLong = (): Error =>
    rangeError(url, `sent more than bytes ${first} to ${end - 1}, as it said`)
  return new PartBody(body, skip, length, tooLong)
}

/** The error of a response whose ranges cannot be believed; `what` says what it did. */
export function rangeError(url: URL, what: string): HttpError {
  return new HttpError(
    'NETMEM_HTTP_RANGE',
    `${shown(url)} ${what}. The body cannot be put together from that; get it from another server, or have this one repaired.`,
  )
}

/** The error of a 416 for bytes that the body has, by all that is known. */
export function refused(url: URL, from: number, contentRange: string | undefined): HttpError {
  const field = contentRange === undefined ? '' : ` (${excerpt(contentRange)})`
  return rangeError(url, `answered 416${field} to a request for bytes from ${from} on`)
}

/** True for the errors of {@link rangeError}. */
export function isRangeError(error: unknown): error is HttpError {
  return error instanceof HttpError && error.code === 'NETMEM_HTTP_RANGE'
}

function said(contentRange: string | undefined, length: number | undefined): string {
  const range = contentRange === undefined ? 'no single Content-Range' : excerpt(contentRange)
  return length === undefined ? range : `${range} and ${length} bytes`
}
