/**
 * Adds the caller's stack to errors that are made in events of a socket, while no caller is on the stack.
 * Only failing calls have a cost.
 */

import { isNetmemError } from '../errors.ts'

/** Errors whose stack names a caller. Later calls get the same error. */
const named = new WeakSet<Error>()

/**
 * Returns a promise that rejects with `error`, to resolve the promise of a caller with. The stack of
 * an error of netmem then ends with the functions that await that promise.
 */
export async function rejectedAtCaller(error: unknown): Promise<never> {
  if (isNetmemError(error) && !named.has(error)) {
    named.add(error)
    // V8 finds the functions through the promises that wait for this one. The caller's waits for it
    // after one turn, so the second one captures them.
    await undefined
    await undefined
    const place: { stack?: string } = {}
    Error.captureStackTrace(place, rejectedAtCaller)
    const [, frames] = /(\n +at .*)/s.exec(place.stack ?? '') ?? []
    if (frames !== undefined) error.stack = `${error.stack}${frames}`
  }
  throw error
}
