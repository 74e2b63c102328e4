/** Which failures pass, and how long to wait for that. */

import { setTimeout as sleep } from 'node:timers/promises'
import { isNetmemError } from '../../errors.ts'
import type { Abortion } from '../client/abortion.ts'
import { isBreak } from '../client/exchange.ts'
import { httpDateMs } from '../client/http-date.ts'
import { shown } from '../client/request.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { HttpError } from '../http-error.ts'
import type { Settings } from './settings.ts'

/** Statuses of servers that may answer otherwise soon: those that curl's --retry takes for such. */
const TRANSIENT: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])
const MAX_DELAY_MS = 30_000

/** Counts the attempts of one transfer, and waits between them. */
export class Retries {
  readonly #settings: Settings
  readonly #abortion: Abortion
  /** Whether the server has ever answered: if not, it is likely to be the wrong one. */
  #reached = false
  #used = 0

  constructor(settings: Settings, abortion: Abortion) {
    this.#settings = settings
    this.#abortion = abortion
  }

  /** Attempts made after the first. */
  get used(): number {
    return this.#used
  }

  /** The server has answered. */
  reached(): void {
    this.#reached = true
  }

  /** Resolves when it is time for the next attempt; rejects with `error` when there is none. */
  async wait(error: unknown): Promise<void> {
    this.#abortion.check()
    const { retries, retryDelayMs, maxRetryAfterMs } = this.#settings
    const asked = error instanceof HttpError ? (error.retryAfterMs ?? 0) : 0
    if (!this.#mayPass(error) || this.#used >= retries || asked > maxRetryAfterMs) throw error
    const delay = Math.min(MAX_DELAY_MS, retryDelayMs * 2 ** this.#used)
    this.#used++
    // Clients that were cut off together must not come back together.
    const ms = Math.max(asked, delay / 2 + (Math.random() * delay) / 2)
    this.#tell(error, ms)
    await sleep(ms, undefined, { signal: this.#abortion.signal }).catch(() => {})
    this.#abortion.check()
  }

  /** The transfer begins anew, without a wait; rejects with `error` when it has done so too often. */
  restart(error: unknown): void {
    if (this.#used >= Math.max(1, this.#settings.retries)) throw error
    this.#used++
    this.#tell(error, 0)
  }

  #tell(error: unknown, delayMs: number): void {
    this.#settings.onEvent?.({ kind: 'retry', error, attempt: this.#used + 1, delayMs })
  }

  #mayPass(error: unknown): boolean {
    if (error instanceof HttpError) {
      return error.code === 'NETMEM_HTTP_STATUS' && TRANSIENT.has(error.status ?? 0)
    }
    if (!isNetmemError(error)) return false
    if (error.code === 'NETMEM_CONNECT_FAILED') return this.#reached
    return isBreak(error) || error.code === 'NETMEM_TIMEOUT'
  }
}

const REMEDIES: { readonly [status: number]: string | undefined } = {
  401: 'It wants credentials, or others: set authorization, or the header field that it takes them in',
  403: 'It refuses this to whoever asks so: check the URL, and authorization if it takes credentials',
  404: 'Nothing is there: check the URL',
  407: 'The proxy wants credentials: write them into its URL',
  410: 'Nothing is there any more: check the URL',
}

/** The error of a status that brings no body that was asked for. */
export function statusError(url: URL, head: ResponseHead): HttpError {
  const { status, reason } = head
  const asked = retryAfterMs(head.headers.single('retry-after'), Date.now())
  const when = asked === undefined ? 'later' : `in ${Math.ceil(asked / 1000)} s, as it asks`
  const what = TRANSIENT.has(status) ? `Try again ${when}` : (REMEDIES[status] ?? 'Check the URL')
  return new HttpError(
    'NETMEM_HTTP_STATUS',
    `${shown(url)} answered ${status}${reason === '' ? '' : ` ${reason}`}. ${what}.`,
    { status, retryAfterMs: asked },
  )
}

/** What `Retry-After` asks for, in seconds or as a date (RFC 9110, 10.2.3); `undefined` if it is neither. */
export function retryAfterMs(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = httpDateMs(text)
  return date === undefined ? undefined : Math.max(0, date - now)
}
