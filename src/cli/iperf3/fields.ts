/**
 * Reads JSON of an untrusted peer: every field is checked before use.
 */

import { type Fields, isFields } from '../../errors.ts'

/**
 * The object a text holds, or `undefined` for any other text. It ends at the first NUL, as a text
 * does in C: some clients send one behind it.
 */
export function parseFields(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text.split('\0', 1)[0] ?? '')
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * Returns a whole number from 0 to below 2^63. Other values count as missing: clients write `null`
 * for NaN, and 2^64 − 1 for −1.
 */
export function integer(fields: Fields, name: string): number | undefined {
  const value = fields[name]
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= 0
  return fits && value < 2 ** 63 ? value : undefined
}

/** `undefined` where the field is missing or something else. */
export function string(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' ? value : undefined
}
