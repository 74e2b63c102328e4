/** Events of a transfer, for logs. */

import type { Exchange } from '../client/exchange.ts'
import type { RequestFields } from '../client/request.ts'
import { requestFields } from '../client/request.ts'
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

/** The setting that events go to. */
interface Told {
  readonly onEvent: ((event: GetEvent) => void) | undefined
}

/** Reports a request to `onEvent`. */
export function tellRequest({ onEvent }: Told, url: URL, fields: RequestFields): void {
  onEvent?.({ kind: 'request', url: new URL(url), fields: requestFields(url, fields) })
}

/** Reports a response's head to `onEvent`. */
export function tellResponse({ onEvent }: Told, response: Exchange): void {
  if (onEvent === undefined) return
  const { url, head, connectMs, tlsMs } = response
  onEvent({ kind: 'response', url: new URL(url), head, connectMs, tlsMs })
}
