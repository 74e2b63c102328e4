/** Bytes of the whole body that a response brings, by its status, `Content-Range` and length. */

import { isIdentity } from '../client/content-coding.ts'
import { excerpt } from '../client/field-line.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { parseContentRange } from './content-range.ts'

/** A run of bytes of the whole body. */
export interface Part {
  readonly first: number
  /** The byte behind the last one, or `undefined` where only the end of the response tells. */
  readonly end: number | undefined
  /** Bytes of the whole body, where the response says it. */
  readonly total: number | undefined
}

/** The facts of a response that its meaning depends on. */
export interface Answer {
  readonly url: URL
  readonly head: ResponseHead
  /** `length` counts the bytes of the response's body, if its framing says it. */
  readonly body: { readonly length: number | undefined }
}

/**
 * Returns the part that a response with a body brings. If its status, its `Content-Range` and its length
 * contradict each other, returns the end of a sentence that says how.
 */
export function partOf({ head, body }: Answer, raw: boolean): Part | string {
  const { length } = body
  const text = head.headers.single('content-range')
  const range = parseContentRange(text ?? '')
  const bytes = range === undefined ? undefined : range.last - range.first + 1
  const fits = bytes !== undefined && (length === undefined || length === bytes)
  if (head.status === 206) {
    if (!raw && !isIdentity(head)) return 'sent a part of a coded body'
    if (range === undefined || !fits) return `answered 206 with ${said(text, length)}`
    return { first: range.first, end: range.last + 1, total: range.total }
  }
  // The field means nothing here (RFC 9110, 14.4), but servers send parts this way.
  const isPart = head.headers.all('content-range').some((value) => /\d-\d/.test(value))
  if (!isPart) return { first: 0, end: length, total: length }
  if (range === undefined || !fits || bytes !== range.total) {
    return `answered ${head.status} with ${said(text, length)}`
  }
  return { first: 0, end: bytes, total: bytes }
}

/** Smallest part that may end too early. Smaller ones would make a body take too many requests. */
const LEAST_PART_BYTES = 4096

/**
 * Returns `undefined` if `part` continues at byte `from` of a body of `total` bytes, when bytes up to
 * `to` were asked for. Otherwise returns a sentence's end that says why it does not.
 */
export function whyNotJoined(
  part: Part,
  from: number,
  total: number | undefined,
  to: number | undefined = total ?? part.total,
): string | undefined {
  const { first, end = from + 1 } = part
  const sent = `sent bytes ${first} to ${end - 1}`
  const isTooSmall = to !== undefined && end < to && end - first < LEAST_PART_BYTES
  if (first > from || end <= from || isTooSmall) {
    return `${sent} where those from ${from} on were asked for`
  }
  if (total === undefined) return undefined
  if (part.total !== undefined && part.total !== total) {
    return `${sent} of ${part.total}, and said before that there are ${total}`
  }
  return end > total ? `${sent}, and said before that there are ${total}` : undefined
}

function said(contentRange: string | undefined, length: number | undefined): string {
  const range = contentRange === undefined ? 'no single Content-Range' : excerpt(contentRange)
  return length === undefined ? range : `${range} and ${length} bytes`
}
