/** From the URL that was asked for to the response that is the one: redirects. */

import { tellRequest, tellResponse } from './events.ts'
import { type Context, type Exchange, exchange, type TakeWhole } from './exchange.ts'
import { HttpError } from './http-error.ts'
import { parseUrl, type RequestFields, shown } from './request.ts'
import { needsUndici, undiciExchange } from './undici.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** What is asked of the server besides the whole body. */
export interface RangeFields {
  readonly range: string | undefined
  readonly ifRange: string | undefined
}

/**
 * Gets `url`, and what it redirects to. What the caller set goes to the first origin alone: once a
 * redirect has left it, that is not sent any more, not even back to it.
 */
export async function follow(
  context: Context,
  url: URL,
  range: RangeFields,
  takeWhole?: TakeWhole,
): Promise<Exchange> {
  const { headers, crossOriginHeaders, authorization } = context.settings
  const fields: RequestFields = {
    headers,
    crossOriginHeaders,
    authorization,
    trusted: true,
    ...range,
  }
  const response = await once(context, url, fields, takeWhole)
  tellResponse(context.settings, response)
  return redirection(response) === undefined
    ? response
    : redirected(context, url, fields, response, takeWhole)
}

async function redirected(
  context: Context,
  url: URL,
  first: RequestFields,
  redirecting: Exchange,
  takeWhole: TakeWhole | undefined,
): Promise<Exchange> {
  const { maxRedirects } = context.settings
  const visited = new Set<string>()
  let response = redirecting
  let target = url
  let trusted = true
  for (;;) {
    const location = redirection(response)
    if (location === undefined) return response
    response.end()
    visited.add(target.href)
    if (visited.size > maxRedirects) {
      throw redirects(url, `redirects more than ${maxRedirects} times`)
    }
    const from = target
    target = next(url, from, location)
    if (!context.settings.allowDowngrade && isDowngrade(from, target)) {
      throw new HttpError(
        'NETMEM_HTTP_REDIRECTS',
        `${shown(url)} redirects from https: to ${shown(target)}, which is not encrypted; set allowDowngrade: true if that will do.`,
      )
    }
    trusted &&= target.origin === url.origin
    if (trusted && target.username === '' && target.password === '') {
      // A relative redirect keeps them; so does one that names the same origin.
      target.username = url.username
      target.password = url.password
    }
    if (visited.has(target.href)) throw redirects(url, 'redirects in a circle')
    response = await once(context, target, { ...first, trusted }, takeWhole)
    tellResponse(context.settings, response)
  }
}

function once(
  context: Context,
  url: URL,
  fields: RequestFields,
  takeWhole: TakeWhole | undefined,
): Promise<Exchange> {
  const { settings } = context
  tellRequest(settings, url, fields)
  if (needsUndici(url, settings)) return undiciExchange(context, url, fields)
  return exchange(context, url, fields, takeWhole)
}

function isDowngrade(from: URL, to: URL): boolean {
  return from.protocol === 'https:' && to.protocol === 'http:'
}

/** Where the response sends one. */
function redirection({ head }: Exchange): string | undefined {
  return REDIRECTS.has(head.status) ? head.headers.get('location') : undefined
}

function next(first: URL, from: URL, location: string): URL {
  let target: URL
  try {
    target = parseUrl(new URL(location, from))
  } catch {
    throw redirects(first, 'redirects to what is no http: or https: URL')
  }
  // A fragment is not part of the request, and would hide a circle.
  target.hash = ''
  return target
}

function redirects(url: URL, what: string): HttpError {
  return new HttpError('NETMEM_HTTP_REDIRECTS', `${shown(url)} ${what}; look where it leads.`)
}
