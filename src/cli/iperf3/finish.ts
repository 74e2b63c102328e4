/**
 * Ends a running test: limits the wait for the client's message, and waits for data that the
 * message overtook.
 */

import { setTimeout } from 'node:timers/promises'

import { type Ending, failureEnding, terminatedEnding } from './ending.ts'
import type { Meter } from './meter.ts'
import type { Parameters } from './parameters.ts'
import { ClientError } from './protocol.ts'
import type { Timeouts } from './timing.ts'

/**
 * Calls `stop` when no data has come for too long, or when the test is long over. Returns a function
 * that ends the watch.
 */
export function watchTest(
  meter: Meter,
  { end, omitSeconds }: Parameters,
  { idleMs, graceMs }: Timeouts,
  stop: (ending: Ending) => void,
): () => void {
  let bytes = 0
  let grewAt = performance.now()
  const limit = end.kind === 'time' ? (end.seconds + omitSeconds) * 1_000 + graceMs : Infinity
  const over = grewAt + limit
  const look = () => {
    const now = performance.now()
    if (meter.bytes() !== bytes) grewAt = now
    bytes = meter.bytes()
    if (now - grewAt > idleMs)
      stop(failureEnding(`no data for ${idleMs / 1_000} s`, ClientError.idle))
    if (now > over) stop(terminatedEnding('the client does not end the test'))
  }
  const timer = setInterval(look, Math.min(1_000, idleMs / 2, graceMs / 2))
  return () => clearInterval(timer)
}

const STEP_MILLISECONDS = 2
const PATIENCE_MILLISECONDS = 250

/**
 * Waits for data that the client has sent and this side has not received. Its amount is known with
 * `-n` and `-k`. With `-t` there is no wait, as in iperf3.
 *
 * @returns time of the last byte, in milliseconds of `performance.now()`
 */
export async function drain(meter: Meter, parameters: Parameters, limit: number): Promise<number> {
  const expected = expectedBytes(parameters)
  let bytes = meter.bytes()
  let grewAt = performance.now()
  const deadline = grewAt + limit
  while (
    bytes < expected &&
    performance.now() < Math.min(deadline, grewAt + PATIENCE_MILLISECONDS)
  ) {
    await setTimeout(STEP_MILLISECONDS)
    if (meter.bytes() !== bytes) grewAt = performance.now()
    bytes = meter.bytes()
  }
  return grewAt
}

function expectedBytes({ end, blockBytes }: Parameters): number {
  if (end.kind === 'bytes') return end.bytes
  return end.kind === 'blocks' ? end.blocks * blockBytes : 0
}
