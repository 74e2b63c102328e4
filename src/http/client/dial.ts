/** New connections of the HTTP client, also through proxies. */

import type { Connection } from '../../connection.ts'
import { adopt, connect } from '../../net/index.ts'
import { protocolError } from '../http-error.ts'
import type { ExchangeContext } from './exchange.ts'
import { HttpConnection } from './http-connection.ts'
import { hostOf, portOf } from './request.ts'
import type { TlsSettings } from './tls-settings.ts'

/** A way to the origin of a URL. */
export interface Route {
  readonly url: URL
  readonly proxy: URL | undefined
  readonly tls: TlsSettings | undefined
  /** Routes of equal keys may share connections. */
  readonly key: string
}

/** Connects, unless the transfer is aborted before. */
export async function dial(context: ExchangeContext, route: Route): Promise<HttpConnection> {
  const { abort } = context
  const began = performance.now()
  // The connection may outlive this transfer, and its signal.
  const attempt = new AbortController()
  const stop = (): void => attempt.abort(abort.signal.reason)
  abort.signal.addEventListener('abort', stop, { once: true })
  try {
    const connection = await open(context, route, attempt.signal)
    const spoken = connection.tls?.alpnProtocol
    if (spoken !== undefined && spoken !== 'http/1.1') {
      connection.destroy()
      throw protocolError(`The server speaks ${spoken} where http/1.1 was offered`)
    }
    return new HttpConnection(connection, route.key, performance.now() - began)
  } catch (error) {
    abort.check()
    throw error
  } finally {
    abort.signal.removeEventListener('abort', stop)
  }
}

async function open(
  { settings, pool }: ExchangeContext,
  { url, proxy, tls }: Route,
  signal: AbortSignal,
): Promise<Connection> {
  const { connectTimeoutMs, wakeBatching } = settings
  const options = { pool, ...(wakeBatching && { wakeBatching }) }
  const ofServer = { ...tls?.options, ALPNProtocols: ['http/1.1'] }
  if (proxy !== undefined && url.protocol === 'https:') {
    // node:http takes time to load, and nothing else here needs it.
    const { tunnel } = await import('./tunnel.ts')
    return adopt(await tunnel(proxy, url, ofServer, connectTimeoutMs, signal), options)
  }
  const to = proxy ?? url
  return connect({
    ...options,
    host: hostOf(to),
    port: portOf(to),
    connectTimeoutMs,
    signal,
    ...(to.protocol === 'https:' && { tls: proxy === undefined ? ofServer : true }),
  })
}
