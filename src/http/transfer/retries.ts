/** Attempts of one transfer: which failures are worth another one, and the waits between them. */

import { setTimeout as sleep } from 'node:timers/promises'
import { isNetmemError } from '../../errors.ts'
import type { AbortScope } from '../client/abort-scope.ts'
import { type Exchange, isBreak } from '../client/exchange.ts'
import { HttpError } from '../http-error.ts'
import type { Failure } from './classify.ts'
import { isRangeError } from './range-error.ts'
import type { Settings } from './settings.ts'

const MAX_DELAY_MS = 30_000

/** Counts the attempts of one transfer, and waits between them. */
export class Retries {
  readonly #settings: Settings
  readonly #abort: AbortScope
  /** True once the server has answered. A server without any answer is probably the wrong one. */
  #reached = false
  /** Attempts made after the first. */
  used = 0

  constructor(settings: Settings, abort: AbortScope) {
    this.#settings = settings
    this.#abort = abort
  }

  /**
   * Makes one attempt: lets `take` act on the response to a request, and ends the exchange. Never rejects.
   * @param ranged True if another attempt without ranges is possible.
   */
  async attempt<T>(
    request: Promise<Exchange>,
    ranged: boolean,
    take: (response: Exchange) => T | Promise<T>,
  ): Promise<T | Failure> {
    let response: Exchange | undefined
    try {
      response = await request
      this.#reached = true
      return await take(response)
    } catch (error) {
      if (ranged && isRangeError(error)) return { kind: 'unranged', error }
      return { kind: this.#mayPass(error) ? 'retry' : 'fail', error }
    } finally {
      response?.end()
    }
  }

  /**
   * Resolves when it is time for the next attempt.
   * @throws The error of `failure` if no attempt follows, and the reason of an abort.
   */
  async wait({ kind, error }: Failure): Promise<void> {
    this.#abort.check()
    const { retries, retryDelayMs, maxRetryAfterMs } = this.#settings
    const asked = error instanceof HttpError ? (error.retryAfterMs ?? 0) : 0
    if (kind === 'fail' || this.used >= retries || asked > maxRetryAfterMs) throw error
    const delay = Math.min(MAX_DELAY_MS, retryDelayMs * 2 ** this.used)
    this.used++
    // Randomness: clients that broke together must not return together.
    const ms = Math.max(asked, delay / 2 + (Math.random() * delay) / 2)
    this.#tell(error, ms)
    await sleep(ms, undefined, { signal: this.#abort.signal }).catch(() => {})
    this.#abort.check()
  }

  /** Counts an attempt that begins anew without a wait. Throws `error` when there were too many. */
  restart(error: unknown): void {
    if (this.used >= Math.max(1, this.#settings.retries)) throw error
    this.used++
    this.#tell(error, 0)
  }

  #tell(error: unknown, delayMs: number): void {
    this.#settings.onEvent?.({ kind: 'retry', error, attempt: this.used + 1, delayMs })
  }

  #mayPass(error: unknown): boolean {
    if (error instanceof HttpError || !isNetmemError(error)) return false
    if (error.code === 'NETMEM_CONNECT_FAILED') return this.#reached
    return isBreak(error) || error.code === 'NETMEM_TIMEOUT'
  }
}
