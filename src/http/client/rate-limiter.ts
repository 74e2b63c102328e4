/**
 * Limits the rate of a transfer, over all its connections. A connection that is read slowly is sent
 * slowly, by TCP's window.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { AbortScope } from './abort-scope.ts'

/** Bursts in a second: a burst is what may arrive at once. */
const BURSTS_PER_SECOND = 8

export class RateLimiter {
  /** Bytes of one burst, to be received before the next {@link turn}. */
  readonly burst: number
  readonly #bytesPerMs: number
  readonly #abort: AbortScope
  /** Time at which all bytes that have arrived are within the rate. */
  #nextAt = 0

  constructor(bytesPerSecond: number, abort: AbortScope) {
    this.burst = Math.ceil(bytesPerSecond / BURSTS_PER_SECOND)
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#abort = abort
  }

  /** Counts `bytes` that have arrived. A pause earns no credit. */
  took(bytes: number): void {
    this.#nextAt = Math.max(this.#nextAt, performance.now()) + bytes / this.#bytesPerMs
  }

  /** Resolves when more bytes may arrive, and when the transfer is aborted. */
  async turn(): Promise<void> {
    const ms = this.#nextAt - performance.now()
    if (ms >= 1) await sleep(ms, undefined, { signal: this.#abort.signal }).catch(() => {})
  }
}
