/** Errors of responses by their status, and how long a server asks to wait. */

import { httpDateMs } from '../client/http-date.ts'
import { displayUrl } from '../client/request.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { HttpError } from '../http-error.ts'

/** Statuses of failures that may pass: those that curl's --retry repeats. */
const TRANSIENT: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

const REMEDIES: { readonly [status: number]: string | undefined } = {
  401: 'It wants credentials: set authorization, or the header field that it takes them in',
  403: 'It refuses the request: check the URL, and authorization if it takes credentials',
  404: 'Nothing is there: check the URL',
  407: 'The proxy wants credentials: write them into its URL',
  410: 'Nothing is there any more: check the URL',
}

/** True if a server that answers with `status` may answer differently soon. */
export function isTransient(status: number): boolean {
  return TRANSIENT.has(status)
}

/** Returns the error of a response whose status excludes the wanted body. */
export function statusError(url: URL, head: ResponseHead): HttpError {
  const { status, reason } = head
  const asked = retryAfterMs(head.headers.single('retry-after'), Date.now())
  const when = asked === undefined ? 'later' : `in ${Math.ceil(asked / 1000)} s, as it asks`
  const what = isTransient(status) ? `Try again ${when}` : (REMEDIES[status] ?? 'Check the URL')
  return new HttpError(
    'NETMEM_HTTP_STATUS',
    `${displayUrl(url)} answered ${status}${reason === '' ? '' : ` ${reason}`}. ${what}.`,
    { status, retryAfterMs: asked },
  )
}

/**
 * Returns the milliseconds that `Retry-After` asks for (RFC 9110, 10.2.3), or `undefined` for invalid
 * text.
 */
export function retryAfterMs(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = httpDateMs(text)
  return date === undefined ? undefined : Math.max(0, date - now)
}
