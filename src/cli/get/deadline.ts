/** Time limits of one download of `netmem get`, in addition to the library's limits. */

import { ConnectionError } from '../../errors.ts'
import type { GetEvent } from '../../http/index.ts'

/**
 * A server that keeps timing out is dead, however many attempts are left. So the last attempt is
 * the first one that times out this long after the last byte.
 */
const SILENCE_MS = 30_000

/** Aborts a download that takes too long in all, or too long without progress. */
export class Deadline {
  /** Aborts with the command, or for {@link reason}. */
  readonly signal: AbortSignal
  readonly #abort = new AbortController()
  readonly #timer: NodeJS.Timeout | undefined
  readonly #now: () => number
  #heardAt: number

  /** `now` is the clock, in milliseconds. */
  constructor(
    command: AbortSignal,
    maxTimeMs: number | undefined,
    now: () => number = () => performance.now(),
  ) {
    this.#now = now
    this.#heardAt = now()
    this.signal = AbortSignal.any([command, this.#abort.signal])
    if (maxTimeMs === undefined) return
    const message = `It took longer than --max-time ${maxTimeMs / 1_000} s.`
    this.#timer = setTimeout(
      () => this.#abort.abort(new ConnectionError('NETMEM_TIMEOUT', message)),
      maxTimeMs,
    )
  }

  /** The limit that aborted the download, or undefined if the command did. */
  get reason(): unknown {
    return this.#abort.signal.reason
  }

  /** Bytes have arrived. */
  heard(): void {
    this.#heardAt = this.#now()
  }

  /** Aborts instead of another attempt if the server is dead. */
  onRetry({ error, delayMs }: GetEvent & { readonly kind: 'retry' }): void {
    const timedOut = error instanceof ConnectionError && error.code === 'NETMEM_TIMEOUT'
    if (!timedOut) this.#heardAt = this.#now() + delayMs
    else if (this.#now() - this.#heardAt > SILENCE_MS) this.#abort.abort(error)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}
