/** The error of a server whose ranges contradict each other. */

import { displayUrl } from '../client/request.ts'
import { HttpError } from '../http-error.ts'

/**
 * Returns the error of a response that contradicts itself or the request. `what` names the contradiction.
 */
export function rangeError(url: URL, what: string): HttpError {
  return new HttpError(
    'NETMEM_HTTP_RANGE',
    `${displayUrl(url)} ${what}. The body cannot be put together from that; get it from another server, or repair this one.`,
  )
}

/** True for the errors of {@link rangeError}. */
export function isRangeError(error: unknown): error is HttpError {
  return error instanceof HttpError && error.code === 'NETMEM_HTTP_RANGE'
}
