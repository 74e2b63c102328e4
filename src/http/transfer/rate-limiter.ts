/** Holds a transfer to a rate: whoever reads slowly is sent slowly, by TCP's window. */

import { setTimeout as sleep } from 'node:timers/promises'

/** What may arrive at once: an eighth of a second's worth. */
const BURSTS_PER_SECOND = 8

export class RateLimiter {
  readonly #bytesPerSecond: number
  #ahead = 0
  #at = 0

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Bytes to receive before the next {@link after}. */
  get burst(): number {
    return Math.ceil(this.#bytesPerSecond / BURSTS_PER_SECOND)
  }

  /** Whether there is anything to hold it to. */
  get limits(): boolean {
    return this.#bytesPerSecond < Number.MAX_SAFE_INTEGER
  }

  /** `bytes` have arrived; resolves when more may. */
  async after(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now()
    // What was not used in a pause is not made up for.
    this.#ahead = Math.max(0, this.#ahead - ((now - this.#at) * this.#bytesPerSecond) / 1000)
    this.#at = now
    this.#ahead += bytes
    const ms = (this.#ahead * 1000) / this.#bytesPerSecond
    if (ms >= 1) await sleep(ms, undefined, { signal }).catch(() => {})
  }
}
