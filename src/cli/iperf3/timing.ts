/**
 * Waiting with an end to it: no step of a test may depend on the other side's goodwill.
 */

/** Time limits for the client. */
export interface Timeouts {
  /** Limit from connecting to the last byte of the cookie. */
  readonly cookieMs: number
  /** Limit for each answer of the client, and for opening all its streams. */
  readonly stepMs: number
  /** Limit without a byte on any stream: iperf3's own default (`--rcv-timeout`). */
  readonly idleMs: number
  /** Time past the announced duration: iperf3's own, ten steps of four seconds. */
  readonly graceMs: number
  /** Limit for the client to read the last message and close. */
  readonly lingerMs: number
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  cookieMs: 10_000,
  stepMs: 30_000,
  idleMs: 120_000,
  graceMs: 40_000,
  lingerMs: 2_000,
}

/** The promise's value, or a rejection with `late()` if it takes longer than that. */
export async function within<T>(
  milliseconds: number,
  promise: Promise<T>,
  late: () => Error,
): Promise<T> {
  const clock = settleable<never>()
  const timer = setTimeout(() => clock.reject(late()), milliseconds)
  try {
    return await Promise.race([promise, clock.promise])
  } finally {
    clearTimeout(timer)
  }
}

export interface Settleable<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
}

/** A promise and its two ends. It may reject without a listener. */
export function settleable<T>(): Settleable<T> {
  let resolve: (value: T) => void = unset
  let reject: (reason: Error) => void = unset
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}

function unset(): never {
  throw new Error('unreachable: a promise runs its executor at once')
}
