/** Events of a transfer, for logs. */

import type { ResponseHead } from '../client/response-head.ts'

/** A step of a transfer, for `onEvent`. */
export type GetEvent =
  /** A request is about to be sent. */
  | {
      readonly kind: 'request'
      /** URL with user, password and query. */
      readonly url: URL
      /** Names and values, credentials included. */
      readonly fields: readonly (readonly [string, string])[]
    }
  /** The head of a response has arrived: of a redirect, an error or the body. */
  | {
      readonly kind: 'response'
      /** URL of the request, as in its event. */
      readonly url: URL
      /** Status line and fields. */
      readonly head: ResponseHead
      /** Milliseconds of connecting, TLS included, or 0 for a connection that was used before. */
      readonly connectMs: number
      /** Milliseconds of the TLS handshake within that. */
      readonly tlsMs: number
    }
  /** An attempt has failed and another one will be made. */
  | {
      readonly kind: 'retry'
      /** Error of the failed attempt. */
      readonly error: unknown
      /** Number of the coming attempt: 2 or more. */
      readonly attempt: number
      /** Milliseconds of the wait before it. */
      readonly delayMs: number
    }
