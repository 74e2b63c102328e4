/** Counts the garbage of code. Its tests run with `--expose-gc`. */

import { some } from './pools.test.helper.ts'

/** Bytes that `run` leaves behind for each of `times`. A collection during the run would hide some. */
export async function garbageOf(times: number, run: () => void | Promise<void>): Promise<number> {
  some(globalThis.gc)()
  const before = process.memoryUsage().heapUsed
  await run()
  return (process.memoryUsage().heapUsed - before) / times
}

/** Runs until it makes as little as `bytes`: code that is not compiled yet makes garbage of its own. */
export async function leastGarbage(bytes: number, count: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let counts = 0; counts < 1000 && least > bytes; counts++) {
    least = Math.min(least, await count())
  }
  return least
}
