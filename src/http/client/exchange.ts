/** One request and its response, as the transfer sees them. */

import { isNetmemError } from '../../errors.ts'
import type { WakeBatching } from '../../net/index.ts'
import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { AbortScope } from './abort-scope.ts'
import type { Body } from './body.ts'
import type { ConnectionCache } from './connection-cache.ts'
import type { RateLimiter } from './rate-limiter.ts'
import type { ResponseHead } from './response-head.ts'
import type { TlsSettings } from './tls-settings.ts'

/** A response whose head has arrived. */
export interface Exchange {
  readonly head: ResponseHead
  readonly body: Body
  /** URL that it came from, after redirects. */
  readonly url: URL
  readonly connectMs: number
  readonly tlsMs: number
  /** Time of the response's first byte, as of `performance.now()`. */
  readonly firstByteAt: number
  /** False for a body that ends with its connection: a cut looks like its end. */
  readonly endKnown: boolean
  /** True if a {@link TakeWhole} has taken the body. */
  readonly taken: boolean
  /** Ends the exchange, once. The connection rests if all of the body was read. Otherwise it is closed. */
  readonly end: () => void
}

/**
 * Takes a complete body from the buffer in which its head arrived. Returns false to receive it in the
 * usual way. Called within the read, so it must not throw and must not call functions of the user.
 */
export type TakeWhole = (head: ResponseHead, body: Uint8Array) => boolean

/** Settings of connections and of waits for the server. */
export interface ExchangeSettings {
  readonly tls: TlsSettings | undefined
  readonly wakeBatching: WakeBatching | undefined
  readonly cache: ConnectionCache | undefined
  readonly connectTimeoutMs: number
  readonly headTimeoutMs: number
  readonly stallTimeoutMs: number
  readonly maxHeadBytes: number
  /** True to use the proxies that the environment names. */
  readonly proxy: boolean
}

/** All that the exchanges of one transfer share. */
export interface ExchangeContext {
  readonly settings: ExchangeSettings
  /** Pool that its connections receive into. */
  readonly pool: PagePool<Page>
  /** Pool that decoded bytes are copied to. The same as {@link pool} if bodies are not decoded. */
  readonly decodedPool: PagePool<Page>
  readonly abort: AbortScope
  /** Absent without a limit. */
  readonly limiter: RateLimiter | undefined
}

/** True if a transfer that failed so may continue over another connection. */
export function isBreak(error: unknown): boolean {
  if (!isNetmemError(error)) return false
  return (
    error.code === 'NETMEM_CONNECTION_RESET' ||
    error.code === 'NETMEM_CONNECTION_FAILED' ||
    error.code === 'NETMEM_ENDED_EARLY'
  )
}
