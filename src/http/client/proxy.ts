/** Whether the environment names a proxy for a URL: HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */

/** The environment, or what a test takes for it. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy for `url`; `undefined` where there is none. Lower case comes first, and HTTP_PROXY in
 * upper case does not count where a server runs this for a request, whose `Proxy:` field it may be.
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

/** Whether HTTP_PROXY is what was found, and a server has set it. Asked last, since asking takes a while. */
function mayBeForged(environment: Environment): boolean {
  return environment['http_proxy'] === undefined && environment['REQUEST_METHOD'] !== undefined
}

/** NO_PROXY: names with those below them, perhaps with a port, or `*`. */
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
