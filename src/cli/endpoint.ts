/** `HOST:PORT` on the command line. */

import type { Address } from '../net/index.ts'
import { usage } from './exit.ts'

/** Parses `HOST:PORT`. IPv6 addresses have brackets: `[::1]:5201`. */
export function parseEndpoint(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (match === null || host === undefined) {
    const remedy = /:.*:/.test(text) && !text.startsWith('[') ? '; write IPv6 in brackets' : ''
    throw usage(`'${text}' is not HOST:PORT, as 127.0.0.1:5201 or [::1]:5201${remedy}.`)
  }
  return { host, port: parsePort(match[3] ?? '', 1) }
}

/** Parses a port of `min` to 65535. */
export function parsePort(text: string, min: number): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (port < min || port > 65_535) throw usage(`'${text}' is no port: ${min} to 65535.`)
  return port
}

/** Formats an address for {@link parseEndpoint}. */
export function formatEndpoint({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
