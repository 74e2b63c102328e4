/** Whether a part is the one that was asked for. */

import { parseContentRange } from './content-range.ts'
import type { Exchange } from './exchange.ts'
import { HttpError } from './http-error.ts'
import { shown } from './request.ts'

/**
 * Checks that a 206 brings what was asked for: bytes `first` to `last`, or to the end, of a body of
 * `total` bytes where these are known. Throws NETMEM_HTTP_RANGE.
 */
export function checkRange(
  response: Exchange,
  first: number,
  last: number | undefined,
  total: number | undefined,
): { readonly last: number; readonly total: number | undefined } {
  const { head, body, url } = response
  const text = head.headers.get('content-range') ?? ''
  const range = parseContentRange(text)
  if (range === undefined) throw rangeError(url, 'a part without a range that makes sense')
  const length = range.last - first + 1
  const knownTotal = total ?? range.total
  if (
    range.first !== first ||
    // A range that is to fit between others has to say where it ends.
    (last !== undefined && body.length === undefined) ||
    (last !== undefined && range.last > last) ||
    (last !== undefined && range.last < last && range.last + 1 !== range.total) ||
    (total !== undefined && range.total !== undefined && range.total !== total) ||
    (knownTotal !== undefined && range.last >= knownTotal) ||
    (body.length !== undefined && body.length !== length)
  ) {
    throw rangeError(url, `other bytes than asked for (${text})`)
  }
  return { last: range.last, total: range.total }
}

/** The server's ranges are not what it says, or not what was asked for. */
export function rangeError(url: URL, what: string): HttpError {
  return new HttpError(
    'NETMEM_HTTP_RANGE',
    `${shown(url)} sent ${what}. Its ranges cannot be trusted; get it without resuming, over one connection.`,
  )
}
