/** Tunnels through proxies (RFC 9110, 9.3.6): TLS with a server over a connection of its proxy. */

import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { ConnectionError } from '../../errors.ts'
import { setUpError } from '../../net/internal.ts'
import { hostOf, portOf, urlAuthorization } from './request.ts'

/**
 * Resolves with the connected TLS socket.
 * @throws NETMEM_CONNECT_FAILED, NETMEM_TLS, NETMEM_TIMEOUT.
 */
export async function tunnel(
  proxy: URL,
  url: URL,
  options: tls.ConnectionOptions,
  connectTimeoutMs: number,
  given: AbortSignal,
): Promise<tls.TLSSocket> {
  const limit = AbortSignal.timeout(connectTimeoutMs)
  const signal = AbortSignal.any([given, limit])
  const authority = `${url.hostname}:${portOf(url)}`
  let socket: net.Socket | undefined
  try {
    socket = await connectThrough(proxy, authority, signal)
    const host = hostOf(url)
    const servername = net.isIP(host) === 0 ? { servername: host } : {}
    const secure = tls.connect({ socket, ...servername, ...options })
    await once(secure, 'secureConnect', { signal })
    return secure
  } catch (error) {
    socket?.on('error', () => {}).destroy()
    if (limit.aborted) {
      const message = `${proxy.host} and ${authority} took more than ${connectTimeoutMs} ms to connect.`
      throw new ConnectionError('NETMEM_TIMEOUT', message, { cause: error })
    }
    const where = socket === undefined ? `the proxy ${proxy.host}` : authority
    throw setUpError('NETMEM_CONNECT_FAILED', where, error)
  }
}

/** Resolves with a connection to `authority`, a host and a port, by way of `proxy`. */
async function connectThrough(
  proxy: URL,
  authority: string,
  signal: AbortSignal,
): Promise<net.Socket> {
  const credentials = urlAuthorization(proxy)
  const request = (proxy.protocol === 'https:' ? https : http).request({
    host: hostOf(proxy),
    port: portOf(proxy),
    method: 'CONNECT',
    path: authority,
    headers: { Host: authority, ...(credentials && { 'Proxy-Authorization': credentials }) },
    agent: false,
    signal,
  })
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('connect', ({ statusCode = 0 }, socket: net.Socket) => {
      if (statusCode >= 200 && statusCode < 300) return resolve(socket)
      socket.destroy()
      const message = `The proxy ${proxy.host} answered ${statusCode} to CONNECT ${authority}. Check its URL, and the credentials in it.`
      reject(new ConnectionError('NETMEM_CONNECT_FAILED', message))
    })
    request.end()
  })
}
