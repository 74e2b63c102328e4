/** Validation of errors in tests, for `assert.throws` and `assert.rejects`; not published. */

import assert from 'node:assert/strict'
import { isNetmemError } from '../errors.ts'

/** Accepts an error of netmem with this code, whose message has `words`. */
export function failsWith(code: string, words: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isNetmemError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    return true
  }
}
