/** Limits the rate of a transfer. A connection that is read slowly is sent slowly, by TCP's window. */

import { setTimeout as sleep } from 'node:timers/promises'

/** Bursts in a second: a burst is what may arrive at once. */
const BURSTS_PER_SECOND = 8

export class RateLimiter {
  readonly #bytesPerSecond: number
  #ahead = 0
  #at = 0

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Bytes of one burst, to be received before the next {@link after}. */
  get burst(): number {
    return Math.ceil(this.#bytesPerSecond / BURSTS_PER_SECOND)
  }

  /** True if there is a limit. */
  get limits(): boolean {
    return this.#bytesPerSecond < Number.MAX_SAFE_INTEGER
  }

  /** Counts `bytes` that have arrived. Resolves when more may arrive. */
  async after(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now()
    // A pause earns no credit.
    this.#ahead = Math.max(0, this.#ahead - ((now - this.#at) * this.#bytesPerSecond) / 1000)
    this.#at = now
    this.#ahead += bytes
    const ms = (this.#ahead * 1000) / this.#bytesPerSecond
    if (ms >= 1) await sleep(ms, undefined, { signal }).catch(() => {})
  }
}
