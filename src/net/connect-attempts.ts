/**
 * Attempts to connect. Node.js tries the addresses of a name one after the other and gives each but the
 * last 250 ms. So a server behind a slow path loses to an address without a listener. All addresses are
 * therefore tried again with more time, until the time limit of the caller.
 */

/** Default of Node.js for one address (net.setDefaultAutoSelectFamilyAttemptTimeout). */
const FIRST_ATTEMPT_MS = 250
/** Linux itself gives up on an address after 127 s (tcp_syn_retries). */
const LONGEST_ATTEMPT_MS = 128_000

/** Calls `attempt` with more and more time for each address, as long as an address timed out. */
export async function retryWithMoreTime<T>(
  attempt: (attemptTimeoutMs: number) => Promise<T>,
): Promise<T> {
  for (let timeoutMs = FIRST_ATTEMPT_MS; ; timeoutMs *= 4) {
    try {
      return await attempt(timeoutMs)
    } catch (error) {
      if (timeoutMs >= LONGEST_ATTEMPT_MS || !timedOut(error)) throw error
    }
  }
}

/** True if an address was given up for the next one before it had answered. */
function timedOut(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  if (!(cause instanceof AggregateError)) return false
  return cause.errors.some(
    (one) => one instanceof Error && Reflect.get(one, 'code') === 'ETIMEDOUT',
  )
}
