/** Validation of errors in tests, for `assert.throws` and `assert.rejects`. Not published. */

import assert from 'node:assert/strict'
import { type ErrorCode, isNetmemError } from '../errors.ts'

/** Accepts an error of netmem with this code, whose message has `words`. */
export function failsWith(code: string, words: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isNetmemError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    return true
  }
}

/** Returns the error of netmem that `promise` rejects with. Its message says what to do. */
export async function failure(
  promise: Promise<unknown>,
): Promise<Error & { readonly code: ErrorCode }> {
  try {
    await promise
  } catch (error) {
    assert.ok(isNetmemError(error), `an error with a code, not ${error}`)
    assert.match(error.message, /\.$/)
    return error
  }
  return assert.fail('it does not reject')
}

/** Returns the code that `promise` rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  return (await failure(promise)).code
}
