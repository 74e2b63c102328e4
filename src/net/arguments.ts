/**
 * Checks arguments of JavaScript callers before anything is opened. Otherwise a bad `signal` fails
 * only after connecting.
 */

import type net from 'node:net'
import { ArgumentRangeError, ArgumentTypeError, checkInteger, checkString } from '../errors.ts'

/** Bytes of the longest path that a `sockaddr_un` holds (unix(7)). BSDs have a shorter one. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** Address of a socket: a port or a path. */
export type PortOrPath =
  | {
      /** TCP port, 1 to 65535. A listener takes a free one with 0. */
      readonly port: number
      readonly path?: never
    }
  | {
      /** Path of a Unix domain socket. A listener creates it. */
      readonly path: string
      readonly port?: never
    }

/** Error of an argument of the wrong kind. */
export function invalid(message: string): ArgumentTypeError {
  return new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', message)
}

/** Throws NETMEM_INVALID_ARGUMENT unless `signal` is an AbortSignal or absent. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw invalid(`signal must be an AbortSignal, not ${kindOf(signal)}.`)
}

/**
 * Throws NETMEM_INVALID_ARGUMENT unless `value` is true, false or absent. The text `no` would count
 * as true.
 */
export function checkOptionalBoolean(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw invalid(`${name} must be true or false, not ${kindOf(value)}.`)
  }
}

/** Throws NETMEM_INVALID_ARGUMENT unless `value` is a function or absent. */
export function checkOptionalFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw invalid(`${name} must be a function, not ${kindOf(value)}.`)
  }
}

/**
 * Returns the address that the options of `call` name. `lowestPort` is its lowest port.
 *
 * @throws NETMEM_INVALID_ARGUMENT unless it is either a port or a path.
 * @throws NETMEM_OUT_OF_RANGE for other ports, and for a path that Node.js would truncate.
 */
export function targetOf(
  call: string,
  { host, port, path }: PortOrPath & { readonly host?: string },
  lowestPort: number,
): net.TcpNetConnectOpts | net.IpcNetConnectOpts {
  if (host !== undefined) checkString('host', host, 'a name or an address')
  if (path !== undefined) checkPath(path)
  if (path !== undefined && port === undefined) return { path }
  if (path !== undefined || port === undefined) {
    throw invalid(`${call} takes either a port or a path.`)
  }
  checkInteger('port', port, lowestPort, 65535)
  return host === undefined ? { port } : { port, host }
}

/** Describes an address in messages. */
export function describeTarget(target: ReturnType<typeof targetOf>): string {
  return 'path' in target ? target.path : `${target.host ?? 'localhost'}:${target.port}`
}

function checkPath(path: string): void {
  const bytes = Buffer.byteLength(checkString('path', path, 'the path of a Unix domain socket'))
  // An abstract name begins with a NUL and does not end with one.
  const most = path.startsWith('\0') ? MAX_PATH_BYTES + 1 : MAX_PATH_BYTES
  if (process.platform === 'win32' || bytes <= most) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `path has ${bytes} bytes, but a Unix domain socket allows ${most}. Choose a shorter path.`,
  )
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}
