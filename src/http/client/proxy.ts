/** Proxies of the environment: HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */

import { invalid } from '../../net/internal.ts'
import { hostOf, portOf } from './request.ts'

/** Variables of the environment by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Returns the URL of the proxy for `url`, or `undefined` where there is none. Names in lower case come
 * first. In a CGI program HTTP_PROXY may be the `Proxy` field of a request, so it is ignored there.
 * @throws NETMEM_INVALID_ARGUMENT if the environment names something other than a proxy.
 */
export function proxyFor(url: URL, environment: Environment): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const named = environment[name.toLowerCase()] ?? environment[name]
  if (named === undefined || named === '') return undefined
  if (url.protocol === 'http:' && mayBeForged(environment)) return undefined
  if (isExcepted(url, environment['no_proxy'] ?? environment['NO_PROXY'] ?? '')) return undefined
  // A proxy without a scheme is http:, as with curl.
  const text = named.includes('://') ? named : `http://${named}`
  const proxy = URL.canParse(text) ? new URL(text) : undefined
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy
  // The text may contain a password.
  throw invalid(`${name} is not the URL of a proxy; write http://HOST:PORT, or set proxy: false.`)
}

/** True if HTTP_PROXY may come from a request of a CGI program. */
function mayBeForged(environment: Environment): boolean {
  return environment['http_proxy'] === undefined && environment['REQUEST_METHOD'] !== undefined
}

/** True if NO_PROXY lists `url`: names with their subdomains, perhaps with a port, or `*`. */
function isExcepted(url: URL, exceptions: string): boolean {
  const host = hostOf(url)
  const port = portOf(url)
  return exceptions
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      const match = /^(?:\[([^\]]*)\]|([^:]*)|(.*:.*:.*))(?::(\d+))?$/.exec(entry.toLowerCase())
      const name = (match?.[1] ?? match?.[2] ?? match?.[3] ?? '').replace(/^\*?\./, '')
      if (name === '' || (match?.[4] !== undefined && Number(match[4]) !== port)) return false
      return host === name || host.endsWith(`.${name}`)
    })
}
