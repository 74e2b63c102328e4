/**
 * What the compiler checks for TypeScript callers, and nobody for others: looked at once, before
 * anything is opened. A signal that is none, for one, would be found out when the socket is there.
 */

import { ArgumentRangeError, ArgumentTypeError } from '../errors.ts'

/** What fits a `sockaddr_un` (unix(7)); BSDs have a shorter one. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** Where a socket is: of the two, one. */
export type PortOrPath =
  | {
      /** 1 to 65535; a listener takes a free one with 0. */
      readonly port: number
      readonly path?: never
    }
  | {
      /** A Unix domain socket, which a listener makes. */
      readonly path: string
      readonly port?: never
    }

/** The error of an argument that is not of its kind. */
export function invalid(message: string): ArgumentTypeError {
  return new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', message)
}

/** Throws NETMEM_INVALID_ARGUMENT unless `signal` is an AbortSignal or absent. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw invalid(`signal must be an AbortSignal, not ${kindOf(signal)}.`)
}

/** Throws NETMEM_INVALID_ARGUMENT unless `value` is true, false or absent: `'no'` would count as true. */
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

/** Throws NETMEM_INVALID_ARGUMENT unless `value` is text with something in it, or absent. */
export function checkOptionalText(name: string, value: unknown): void {
  if (value === undefined || (typeof value === 'string' && value !== '')) return
  throw invalid(`${name} must be a string that is not empty, not ${kindOf(value)}.`)
}

/** As {@link checkOptionalText}; throws NETMEM_OUT_OF_RANGE for a path that Node.js would cut off. */
export function checkPath(path: string | undefined): void {
  checkOptionalText('path', path)
  const bytes = path === undefined ? 0 : Buffer.byteLength(path)
  // The first byte of an abstract name is 0, and the last one counts.
  const most = path?.startsWith('\0') === true ? MAX_PATH_BYTES + 1 : MAX_PATH_BYTES
  if (process.platform === 'win32' || bytes <= most) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `path has ${bytes} bytes, and that of a Unix domain socket ${most} at the most; choose a shorter one.`,
  )
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (value === '') return 'an empty one'
  return typeof value
}
