/** What goes wrong above the connection: a server's answer that is none, or not the one wanted. */

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
    NETMEM_HTTP_NEEDS_UNDICI: 'HttpError'
    NETMEM_DIGEST_MISMATCH: 'HttpError'
    NETMEM_DIGEST_FAILED: 'HttpError'
  }
}

/** A transfer that failed for what the server said, or for what was done with the body. */
export class HttpError extends NetmemError {
  declare readonly code: CodeOf<'HttpError'>
  /** The status of the response that it was about, if there was one. */
  readonly status: number | undefined
  /** How long the server asks to wait before the next attempt, if it does. */
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

/** The server broke the rules of HTTP; `what` says which. */
export function protocolError(what: string): HttpError {
  return new HttpError(
    'NETMEM_HTTP_PROTOCOL',
    `${what}. Such a response is refused, since its end cannot be trusted; the server, or something before it, needs repair.`,
  )
}

/** The error of a transfer whose pool stayed dry; another attempt would find it so, too. */
export function dryTimeout({ capacity }: PagePool<Page>, limitMs: number): LifetimeError {
  return new LifetimeError(
    'NETMEM_POOL_DRY',
    `No memory came back to the pool for ${limitMs} ms: all its ${capacity} pages are held. Release the frags that onFrag is given, or make the pool larger.`,
  )
}
