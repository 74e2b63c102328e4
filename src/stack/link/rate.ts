/** Time that bits take. */

import { checkNumber } from '../../errors.ts'

/** Checks a rate in bits per second from an option: 1 or more. No limit by default. */
export function checkRate(rateBitsPerS: unknown = Number.POSITIVE_INFINITY): number {
  return checkNumber('rateBitsPerS', rateBitsPerS, 1, Number.POSITIVE_INFINITY)
}

/** Returns the ns that `bytes` take. They are integers, so that times add up exactly. */
export function serialisationNs(bytes: number, rateBitsPerS: number): number {
  return rateBitsPerS === Number.POSITIVE_INFINITY ? 0 : Math.ceil((bytes * 8e9) / rateBitsPerS)
}
