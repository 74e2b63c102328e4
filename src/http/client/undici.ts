/**
 * Requests through proxies. undici, an optional dependency, sends them, and each chunk of the body is
 * copied once out of its buffers.
 */

import type * as Undici from 'undici'
import { ArgumentTypeError, ConnectionError, isNetmemError } from '../../errors.ts'
import { HttpError, protocolError } from '../http-error.ts'
import { CopiedBody } from './copied-body.ts'
import type { Exchange, ExchangeContext } from './exchange.ts'
import { type BodyFraming, framingOf } from './framing.ts'
import { HeaderList } from './header-list.ts'
import { displayUrl, type RequestFields, requestFields } from './request.ts'
import type { ResponseHead } from './response-head.ts'
import { tlsElsewhere } from './tls-settings.ts'

/** Sends a request through the proxy at the URL `proxy`, by way of undici. */
export async function undiciExchange(
  context: ExchangeContext,
  url: URL,
  fields: RequestFields,
  proxy: string,
): Promise<Exchange> {
  const { settings, abort, pool } = context
  abort.check()
  const { ProxyAgent, request } = await load()
  const choice =
    settings.tls === undefined || fields.trusted ? settings.tls : tlsElsewhere(settings.tls)
  const security: object = { ...choice?.options }
  const connect = { timeout: settings.connectTimeoutMs, ...security }
  const dispatcher = proxied(
    url,
    () =>
      new ProxyAgent({
        connect,
        maxHeaderSize: settings.maxHeadBytes,
        uri: proxy,
        requestTls: connect,
        // Most proxies tunnel to port 443 only.
        proxyTunnel: url.protocol === 'https:',
      }),
  )
  const headers = Object.fromEntries(requestFields(url, fields))
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  let response: Undici.Dispatcher.ResponseData
  let head: ResponseHead
  let framing: BodyFraming
  try {
    response = await request(bare, {
      dispatcher,
      headers,
      signal: abort.signal,
      // A ProxyAgent without a tunnel does not pass its own limits on.
      headersTimeout: settings.headTimeoutMs,
      bodyTimeout: settings.stallTimeoutMs,
    })
    head = headOf(response)
    framing = framingOf(head)
  } catch (cause) {
    dispatcher.destroy().catch(() => {})
    throw isNetmemError(cause) ? cause : translated(url, cause, 'NETMEM_CONNECT_FAILED')
  }
  const firstByteAt = performance.now()
  const length = framing.kind === 'length' ? framing.bytes : undefined
  const chunks = response.body.iterator({ destroyOnReturn: false })
  const broken = (cause: unknown): Error => translated(url, cause, 'NETMEM_CONNECTION_RESET')
  const body = new CopiedBody(chunks, length, pool, context, broken)
  let ended = false
  return {
    head,
    body,
    url,
    connectMs: 0,
    tlsMs: 0,
    firstByteAt,
    endKnown: framing.kind !== 'close',
    taken: false,
    end: () => {
      if (ended) return
      ended = true
      body.drop()
      response.body.on('error', () => {}).destroy()
      dispatcher.destroy().catch(() => {})
    },
  }
}

/** Calls `make`, and explains its failure: the environment may name an invalid URL. */
function proxied<T>(url: URL, make: () => T): T {
  try {
    return make()
  } catch {
    // Proxy URL and error may contain a password.
    const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
    const message = `${name} is not the URL of a proxy; write http://HOST:PORT, or set proxy: false.`
    throw new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', message)
  }
}

async function load(): Promise<typeof Undici> {
  try {
    return await import('undici')
  } catch (cause) {
    throw new HttpError(
      'NETMEM_HTTP_NEEDS_UNDICI',
      'A proxy requires undici, which is not installed: npm install undici@7. Or set proxy: false.',
      { cause },
    )
  }
}

function headOf({ statusCode, headers }: Undici.Dispatcher.ResponseData): ResponseHead {
  const names: string[] = []
  const values: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? '']) {
      names.push(name.toLowerCase())
      // undici decodes bytes as UTF-8. A head here has one character for each byte.
      values.push(Buffer.from(one, 'utf8').toString('latin1'))
    }
  }
  return { version: '1.1', status: statusCode, reason: '', headers: new HeaderList(names, values) }
}

/** Translates an error of undici. */
function translated(
  url: URL,
  cause: unknown,
  otherwise: 'NETMEM_CONNECT_FAILED' | 'NETMEM_CONNECTION_RESET',
): Error {
  const found: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  const code = typeof found === 'string' ? found : ''
  const message = cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause)
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new HttpError(
      'NETMEM_HTTP_HEAD_TOO_LARGE',
      `The head of ${displayUrl(url)} is too large.`,
      {
        cause,
      },
    )
  }
  if (code.startsWith('HPE_')) return protocolError(message)
  if (/TIMEOUT/.test(code)) {
    return new ConnectionError('NETMEM_TIMEOUT', `${displayUrl(url)} sent nothing for too long.`, {
      cause,
    })
  }
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS|ERR_SSL|HOSTNAME)/.test(code)) {
    return new ConnectionError('NETMEM_TLS', `TLS with ${displayUrl(url)} failed: ${message}.`, {
      cause,
    })
  }
  return new ConnectionError(otherwise, `${displayUrl(url)} through undici: ${message}.`, {
    cause,
  })
}
