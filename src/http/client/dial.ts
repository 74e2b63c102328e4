/** New connections of the HTTP client. */

import { connect } from '../../net/index.ts'
import { protocolError } from '../http-error.ts'
import type { ExchangeContext } from './exchange.ts'
import { HttpConnection } from './http-connection.ts'
import type { TlsSettings } from './tls-settings.ts'

/** Connects to the origin of `url`, unless the transfer is aborted before. `key` names the connection. */
export async function dial(
  { settings, pool, abort }: ExchangeContext,
  url: URL,
  tls: TlsSettings | undefined,
  key: string,
): Promise<HttpConnection> {
  const isSecure = url.protocol === 'https:'
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port)
  const began = performance.now()
  const { connectTimeoutMs, wakeBatching } = settings
  // The connection may outlive this transfer, and its signal.
  const attempt = new AbortController()
  const stop = (): void => attempt.abort(abort.signal.reason)
  abort.signal.addEventListener('abort', stop, { once: true })
  try {
    const connection = await connect({
      pool,
      host: hostOf(url),
      port,
      connectTimeoutMs,
      signal: attempt.signal,
      ...(wakeBatching && { wakeBatching }),
      ...(isSecure && { tls: { ...tls?.options, ALPNProtocols: ['http/1.1'] } }),
    })
    const spoken = connection.tls?.alpnProtocol
    if (spoken !== undefined && spoken !== 'http/1.1') {
      connection.destroy()
      throw protocolError(`The server speaks ${spoken} where http/1.1 was offered`)
    }
    return new HttpConnection(connection, key, performance.now() - began)
  } catch (error) {
    abort.check()
    throw error
  } finally {
    abort.signal.removeEventListener('abort', stop)
  }
}

/** Returns the host of a URL: an IPv6 address without its brackets. */
function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}
