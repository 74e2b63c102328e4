/** What goes wrong above the connection: a server's answer that is none, or not the one wanted. */

import { type ErrorCode, NetmemError } from '../errors.ts'
import type { Page } from '../netmem.ts'
import type { PagePool } from '../pool/page-pool.ts'

/** A transfer that failed for what the server said, or for what was done with the body. */
export class HttpError extends NetmemError {
  /** The status of the response that it was about, if there was one. */
  readonly status: number | undefined
  /** How long the server asks to wait before the next attempt, if it does. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: ErrorCode,
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

/** The server broke the rules of HTTP; `what` says which. */
export function protocolError(what: string): HttpError {
  return new HttpError(
    'NETMEM_HTTP_PROTOCOL',
    `${what}. Such a response is refused, since its end cannot be trusted; the server, or something before it, needs repair.`,
  )
}

/** The error of a transfer whose pool stayed dry; another attempt would find it so, too. */
export function dryTimeout({ capacity }: PagePool<Page>, limitMs: number): HttpError {
  return new HttpError(
    'NETMEM_TIMEOUT',
    `No memory came back to the pool for ${limitMs} ms: all its ${capacity} pages are held. Release the frags that onFrag is given, or make the pool larger.`,
  )
}
