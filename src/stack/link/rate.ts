/** Time that bits take. */

import { ArgumentRangeError, ArgumentTypeError } from '../../errors.ts'

/**
 * Checks a rate in bits per second from an option: 1 or more. `undefined` and `Infinity` are no
 * limit.
 */
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

/** Returns the ns that `bytes` take. They are integers, so that times add up exactly. */
export function serialisationNs(bytes: number, rateBitsPerS: number): number {
  return rateBitsPerS === Number.POSITIVE_INFINITY ? 0 : Math.ceil((bytes * 8e9) / rateBitsPerS)
}
