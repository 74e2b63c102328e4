/** How long bits take. */

import { ArgumentRangeError, ArgumentTypeError } from '../../errors.ts'

/** A rate in bits per second from an option: more than 0; `undefined` is no limit, as `Infinity` is. */
export function checkRate(rateBitsPerS: unknown): number {
  if (rateBitsPerS === undefined) return Number.POSITIVE_INFINITY
  if (typeof rateBitsPerS !== 'number') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `rateBitsPerS must be a number, not ${typeof rateBitsPerS}.`,
    )
  }
  if (rateBitsPerS >= 1) return rateBitsPerS
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `rateBitsPerS must be 1 or more, not ${rateBitsPerS}; leave it out for no limit.`,
  )
}

/** Nanoseconds that `bytes` take; whole ones, so that times add up exactly. */
export function serialisationNs(bytes: number, rateBitsPerS: number): number {
  return rateBitsPerS === Number.POSITIVE_INFINITY ? 0 : Math.ceil((bytes * 8e9) / rateBitsPerS)
}
