/** Proxies of the environment: HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */

/** Variables of the environment by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Returns the proxy for `url`, or `undefined` where there is none. Names in lower case come first. In a
 * CGI program HTTP_PROXY may be the `Proxy` field of a request, so it is ignored there.
 */
export function proxyFor(url: URL, environment: Environment): string | undefined {
  const named =
    url.protocol === 'https:'
      ? (environment['https_proxy'] ?? environment['HTTPS_PROXY'])
      : (environment['http_proxy'] ?? environment['HTTP_PROXY'])
  if (named === undefined || named === '') return undefined
  if (url.protocol === 'http:' && mayBeForged(environment)) return undefined
  const exceptions = environment['no_proxy'] ?? environment['NO_PROXY'] ?? ''
  // Without a scheme it is http:, as with curl.
  return isExcepted(url, exceptions) ? undefined : named.includes('://') ? named : `http://${named}`
}

/** True if HTTP_PROXY may come from a request of a CGI program. */
function mayBeForged(environment: Environment): boolean {
  return environment['http_proxy'] === undefined && environment['REQUEST_METHOD'] !== undefined
}

/** True if NO_PROXY lists `url`: names with their subdomains, perhaps with a port, or `*`. */
function isExcepted(url: URL, exceptions: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return exceptions
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      const match = /^(?:\[([^\]]*)\]|([^:]*)|(.*:.*:.*))(?::(\d+))?$/.exec(entry.toLowerCase())
      const name = (match?.[1] ?? match?.[2] ?? match?.[3] ?? '').replace(/^\*?\./, '')
      if (name === '' || (match?.[4] !== undefined && match[4] !== port)) return false
      return host === name || host.endsWith(`.${name}`)
    })
}
