/** Errors above the connection: an invalid or unexpected response. */

import { type CodeOf, LifetimeError, NetmemError } from '../errors.ts'
import type { Page } from '../netmem.ts'
import type { PagePool } from '../pool/page-pool.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_HTTP_STATUS: 'HttpError'
    NETMEM_HTTP_PROTOCOL: 'HttpError'
    NETMEM_HTTP_HEAD_TOO_LARGE: 'HttpError'
    NETMEM_HTTP_REDIRECTS: 'HttpError'
    NETMEM_HTTP_CONTENT_CODING: 'HttpError'
    NETMEM_HTTP_RANGE: 'HttpError'
    NETMEM_HTTP_CHANGED: 'HttpError'
    NETMEM_HTTP_FILE: 'HttpError'
    NETMEM_DIGEST_MISMATCH: 'HttpError'
    NETMEM_DIGEST_FAILED: 'HttpError'
  }
}

/** An error of a transfer: the server's response, or the use of its body, made it fail. */
export class HttpError extends NetmemError<'HttpError'> {
  /** Status of the response that caused the error, or `undefined` if there was none. */
  readonly status: number | undefined
  /**
   * Milliseconds that the server asks to wait before the next attempt, or `undefined` if it does not ask.
   */
  readonly retryAfterMs: number | undefined

  constructor(
    code: CodeOf<'HttpError'>,
    message: string,
    options: ErrorOptions & {
      readonly status?: number
      readonly retryAfterMs?: number | undefined
    } = {},
  ) {
    super(code, message, options)
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Returns the error of a response that breaks the rules of HTTP. `what` is a sentence that says how. */
export function protocolError(what: string): HttpError {
  return new HttpError(
    'NETMEM_HTTP_PROTOCOL',
    `${what}. The response is refused, since its end cannot be trusted. Repair the server, or the proxy before it.`,
  )
}

/** Returns the error of a transfer whose pool stayed dry. Another attempt would find the pool dry, too. */
export function dryTimeout({ capacity }: PagePool<Page>, limitMs: number): LifetimeError {
  return new LifetimeError(
    'NETMEM_POOL_DRY',
    `No memory came back to the pool for ${limitMs} ms: all its ${capacity} pages are held. Release the frags that onFrag is given, or make the pool larger.`,
  )
}
