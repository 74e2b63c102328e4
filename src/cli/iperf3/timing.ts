/**
 * Waiting with an end to it: no step of a test may depend on the other side's goodwill.
 */

/** Time limits for the client. */
export type Timeouts = Readonly<typeof DEFAULT_TIMEOUTS>

export const DEFAULT_TIMEOUTS = {
  /** Limit from connecting to the last byte of the cookie. */
  cookieMs: 10_000,
  /** Limit for each answer of the client, and for opening all its streams. */
  stepMs: 30_000,
  /** Limit without a byte on any stream: iperf3's own default (`--rcv-timeout`). */
  idleMs: 120_000,
  /** Time past the announced duration: iperf3's own, ten steps of four seconds. */
  graceMs: 40_000,
  /** Limit for the client to read the last message and close. */
  lingerMs: 2_000,
}

/** The promise's value, or a rejection with `late()` if it takes longer than that. */
export async function within<T>(
  milliseconds: number,
  promise: Promise<T>,
  late: () => Error,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const clock = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds)
  })
  try {
    return await Promise.race([promise, clock])
  } finally {
    clearTimeout(timer)
  }
}

/** The promise's value, or undefined if it rejects or takes longer than that. */
export function ifWithin<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  return within(milliseconds, promise, () => new Error('too late')).catch(() => undefined)
}
