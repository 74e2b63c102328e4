/** Redirects: from a URL to the response that is not a redirect. */

import { decoded } from '../client/content-coding.ts'
import type { Exchange, ExchangeContext, TakeWhole } from '../client/exchange.ts'
import { displayUrl, type HeaderFields, parseUrl, requestFields } from '../client/request.ts'
import { socketExchange } from '../client/socket-exchange.ts'
import { HttpError } from '../http-error.ts'
import type { Settings } from './settings.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** All that the requests of one transfer share. */
export interface FollowContext extends ExchangeContext {
  readonly settings: Settings
}

/**
 * Gets `url`, and follows its redirects. Headers and credentials of the caller go to the first origin
 * only. After a redirect to another origin they are not sent again, not even to the first.
 */
export async function follow(
  context: FollowContext,
  url: URL,
  range: HeaderFields,
  takeWhole?: TakeWhole,
): Promise<Exchange> {
  const { settings } = context
  const { decompress, maxRedirects, allowDowngrade, onEvent } = settings
  // A range of a coded body is a range of coded bytes.
  const coded = decompress && range.length === 0
  const visited: string[] = []
  let target = url
  let trusted = true
  for (;;) {
    const fields = requestFields(target, settings, trusted, coded, range)
    onEvent?.({ kind: 'request', url: new URL(target), fields })
    const response = await socketExchange(context, target, fields, trusted, takeWhole)
    const { head, connectMs, tlsMs } = response
    onEvent?.({ kind: 'response', url: new URL(target), head, connectMs, tlsMs })
    const location = redirection(response)
    if (location === undefined) {
      return decompress && !response.taken ? decoded(response, context) : response
    }
    response.end()
    visited.push(target.href)
    if (visited.length > maxRedirects) {
      throw redirects(url, `redirects more than ${maxRedirects} times`)
    }
    const from = target
    target = next(url, from, location)
    if (!allowDowngrade && from.protocol === 'https:' && target.protocol === 'http:') {
      throw new HttpError(
        'NETMEM_HTTP_REDIRECTS',
        `${displayUrl(url)} redirects from https: to ${displayUrl(target)}, which is not encrypted; set allowDowngrade: true if that will do.`,
      )
    }
    trusted &&= target.origin === url.origin
    if (trusted && target.username === '' && target.password === '') {
      // Relative redirects, and those to the same origin, keep the URL's credentials.
      target.username = url.username
      target.password = url.password
    }
    if (visited.includes(target.href)) throw redirects(url, 'redirects in a circle')
  }
}

/** Returns the location that a response redirects to, in ASCII, or `undefined` if it does not redirect. */
function redirection(response: Exchange): string | undefined {
  const { head, url } = response
  if (!REDIRECTS.has(head.status) || head.headers.all('location').length === 0) return undefined
  const location = head.headers.single('location')
  if (location === undefined) {
    response.end()
    throw redirects(url, 'redirects to two places at once')
  }
  // Servers send UTF-8, and a head has one character for each byte.
  return location.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`)
}

function next(first: URL, from: URL, location: string): URL {
  let target: URL
  try {
    target = parseUrl(new URL(location, from))
  } catch {
    throw redirects(first, 'redirects to something other than an http: or https: URL')
  }
  // Fragments are not sent, and would hide a circle.
  target.hash = ''
  return target
}

function redirects(url: URL, what: string): HttpError {
  return new HttpError('NETMEM_HTTP_REDIRECTS', `${displayUrl(url)} ${what}; look where it leads.`)
}
