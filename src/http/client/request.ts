/** Requests: one GET, in which no value can be mistaken for another field. */

import { invalid } from '../../net/internal.ts'
import { excerpt, isFieldText, isToken } from './field-line.ts'

/** Value of `Accept-Encoding` that asks for every coding that `decoded()` of `content-coding.ts` knows. */
const DECODED = 'gzip, deflate, br'

/** Header fields by name. */
export type RequestHeaders = Readonly<Record<string, string>>

/** Credentials: a name and a password, or a token. */
export type Authorization =
  | {
      /** Name, without a colon (RFC 7617). */
      readonly username: string
      /** Password, any text. */
      readonly password: string
    }
  | {
      /** Token of letters, digits and `-._~+/` (RFC 6750). */
      readonly bearer: string
    }

/** Fields that the transfer itself sets. */
const RESERVED: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'if-range',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const WHO = 'authorization is { username, password } or { bearer }, all of them strings.'

/**
 * Parses a URL to get.
 * @throws NETMEM_INVALID_ARGUMENT unless it is absolute, and http: or https:.
 */
export function parseUrl(url: string | URL): URL {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw invalid(`${excerpt(String(url))} is not an absolute URL.`)
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw invalid(`A URL begins with http: or https:, not with ${parsed.protocol}`.concat('.'))
  }
  return parsed
}

/** Returns a URL for messages: without user, password, query and fragment, which may be secrets. */
export function displayUrl(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** Returns the host of a URL: an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** Returns the port of a URL, or the port of its scheme. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

/** Names and values of fields, in their order. */
export type HeaderFields = readonly (readonly [name: string, value: string])[]

/**
 * Reads the caller's fields once, so later changes of the object have no effect.
 * @throws NETMEM_INVALID_ARGUMENT for a name or a value that cannot be sent.
 */
export function headerFields(headers: RequestHeaders): HeaderFields {
  if (!isRecord(headers)) {
    throw invalid('headers is an object of names and values; make it with Object.fromEntries().')
  }
  const fields = Object.entries(headers)
  for (const [name, value] of fields) {
    if (!isToken(name)) throw invalid(`${excerpt(name)} cannot name a header field.`)
    if (RESERVED.has(name.toLowerCase())) {
      throw invalid(`The header field ${name} is set by the transfer itself; leave it out.`)
    }
    checkValue(name, value)
  }
  return fields
}

/**
 * Returns the value of the field `Authorization`.
 * @throws NETMEM_INVALID_ARGUMENT for credentials that cannot be sent.
 */
export function authorizationValue(authorization: Authorization): string {
  if (!isRecord(authorization)) throw invalid(WHO)
  if (isBearer(authorization)) {
    const { bearer } = authorization
    if (typeof bearer !== 'string' || !/^[A-Za-z0-9\-._~+/]+=*$/.test(bearer)) {
      throw invalid('A bearer token may only have letters, digits and -._~+/ (RFC 6750).')
    }
    return `Bearer ${bearer}`
  }
  const { username, password } = authorization
  if (typeof username !== 'string' || typeof password !== 'string') {
    throw invalid(WHO)
  }
  if (username.includes(':')) throw invalid('A user name with a colon in it cannot be sent.')
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function isBearer(authorization: Authorization): authorization is { readonly bearer: string } {
  return Object.hasOwn(authorization, 'bearer')
}

/** Fields that the caller gives for one origin. */
export interface CallerFields {
  readonly headers: HeaderFields
  /** Names, in lower case, of the `headers` that go to any origin, or `true` for all. */
  readonly crossOriginHeaders: ReadonlySet<string> | true
  readonly authorization: string | undefined
}

/**
 * Returns the fields to send, in their order. Credentials of the URL go before those of the caller.
 * @param trusted True if the request goes to the origin that the caller's fields were given for.
 * @param coded True to ask for a body in a coding that can be decoded.
 */
export function requestFields(
  url: URL,
  { headers, crossOriginHeaders: elsewhere, authorization: given }: CallerFields,
  trusted: boolean,
  coded: boolean,
  range: HeaderFields,
): HeaderFields {
  const own = headers.filter(
    ([name]) => trusted || elsewhere === true || elsewhere.has(name.toLowerCase()),
  )
  const has = (name: string): boolean => own.some(([known]) => known.toLowerCase() === name)
  const list: (readonly [string, string])[] = [['Accept-Encoding', coded ? DECODED : 'identity']]
  if (!has('user-agent')) list.push(['User-Agent', 'netmem'])
  if (!has('accept')) list.push(['Accept', '*/*'])
  const authorization = urlAuthorization(url) ?? (trusted ? given : undefined)
  if (authorization !== undefined && !has('authorization')) {
    list.push(['Authorization', authorization])
  }
  return [...list, ...own, ...range]
}

/** Returns the bytes of a GET, as text. A request that a proxy reads names the origin, too. */
export function serialiseGet(
  url: URL,
  fields: HeaderFields,
  keepAlive: boolean,
  proxy: URL | undefined,
): string {
  const origin = proxy === undefined ? '' : url.origin
  let text = `GET ${origin}${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n`
  const credentials = proxy === undefined ? undefined : urlAuthorization(proxy)
  if (credentials !== undefined) text += `Proxy-Authorization: ${credentials}\r\n`
  if (!keepAlive) text += 'Connection: close\r\n'
  for (const [name, value] of fields) {
    // If-Range repeats a server's value, which may have bytes beyond ASCII.
    if (!isFieldText(value)) throw invalid(`The header field ${name} must be on one line.`)
    text += `${name}: ${value}\r\n`
  }
  return `${text}\r\n`
}

/** Returns the field `Authorization` for user and password of a URL, or `undefined` without them. */
export function urlAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  try {
    return authorizationValue({
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
    })
  } catch (error) {
    if (error instanceof URIError)
      throw invalid('User or password of the URL has invalid percent-encoding.')
    throw error
  }
}

/** Throws for a value beyond ASCII: sender and server might decode its bytes differently. */
function checkValue(name: string, value: unknown): void {
  if (typeof value !== 'string' || !/^[\t\x20-\x7e]*$/.test(value)) {
    throw invalid(`The header field ${name} must be printable ASCII, on one line.`)
  }
}

/** True if `value` is a plain object. The fields of a `Headers` or a `Map` would not be seen. */
function isRecord(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(Symbol.iterator in value)
}
