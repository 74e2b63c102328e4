/** Options of `getInto`, as its caller writes them. */

import type tls from 'node:tls'
import type { WakeBatching } from '../../net/index.ts'
import type { ConnectionCache } from '../client/connection-cache.ts'
import type { Authorization, RequestHeaders } from '../client/request.ts'
import type { ResponseHead } from '../client/response-head.ts'
import type { GetEvent } from './events.ts'

/** Options of `getInto`. */
export interface GetOptions {
  /**
   * Fields to send in addition to the transfer's own fields. They are read once, and go to the URL's
   * origin. After a redirect to another origin only {@link crossOriginHeaders} are sent.
   */
  readonly headers?: RequestHeaders
  /**
   * Names of `headers` that also go to other origins after a redirect, or `true` for all of them.
   * Default: none, since each may be a secret (`X-Api-Key`, `Private-Token`, `Cookie`).
   */
  readonly crossOriginHeaders?: boolean | readonly string[]
  /** Follows redirects from https: to http:, which is not encrypted. Default: `false`. */
  readonly allowDowngrade?: boolean
  /** Credentials for the URL's origin. A redirect to another origin drops them. User and password of the URL take precedence. */
  readonly authorization?: Authorization
  /** Aborts the transfer. It still waits for a call of `onFrag` that has begun. */
  readonly signal?: AbortSignal
  /** Limit of redirects: 0 to 100. Default: 10. */
  readonly maxRedirects?: number
  /** Limit of a response's head: 1024 to 2^20. Default: 65536. */
  readonly maxHeadBytes?: number
  /** Limit of connecting, TLS included: 1 to 2^31 − 1. Default: 30,000. */
  readonly connectTimeoutMs?: number
  /** Limit from the request to the end of the response's head: 1 to 2^31 − 1. Default: 60,000. */
  readonly headTimeoutMs?: number
  /**
   * Limit of a wait for the next byte of the body: 1 to 2^31 − 1. Default: 60,000. The time of `onFrag`
   * does not count. A wait for memory counts while no memory comes back to the pool.
   */
  readonly stallTimeoutMs?: number
  /**
   * Limit of further attempts after a break or a busy server's answer: 0 to 1000. Default: 4. Each
   * continues where the last one broke.
   */
  readonly retries?: number
  /**
   * Wait before the second attempt: 1 to 60,000. Default: 500. It doubles with each attempt, up to 30
   * seconds. Half of it is random.
   */
  readonly retryDelayMs?: number
  /** Longest `Retry-After` to wait for: 0 to 2^31 − 1. Default: 60,000. A longer one fails the transfer. */
  readonly maxRetryAfterMs?: number
  /** Reaction to a body that changed between two attempts. Default: `fail`. */
  readonly onChange?: 'restart' | 'fail'
  /**
   * Ranges to fetch at once: 1 to 64. Default: 1. Only for memory and files, from servers that have
   * ranges.
   */
  readonly connections?: number
  /** Computes the digest if `true`. A string of 64 hexadecimal digits is the expected digest. */
  readonly sha256?: boolean | string
  /**
   * Called with the head, the body's `length` if the server says it, and the first byte that will be
   * received. That is not byte 0 where `resume` found a part. Called again after a restart.
   */
  readonly onHead?: (head: ResponseHead, length: number | undefined, from: number) => void
  /** Called with the number of bytes that have arrived. It is lower after a restart. */
  readonly onProgress?: (bytes: number) => void
  /**
   * Called for each request, each response's head and each further attempt, for logs. It must not
   * throw.
   */
  readonly onEvent?: (event: GetEvent) => void
  /** Approximate limit in bytes a second, as the server sends them: 1024 or more. Default: none. */
  readonly maxBytesPerSecond?: number
  /**
   * Lets another thread map fresh memory ahead of the body. Default: `false`. For shared memory and
   * `hugeMemory` of netmem/linux that is always done. Set it only for memory that is not transferred,
   * resized or unmapped before `getInto` settles: the thread would write zeros to its old address.
   */
  readonly touchAhead?: boolean
  /**
   * Options of `tls.connect`, such as certificates. They are read once. A redirect to another origin
   * drops those that identify the client. Transfers whose TLS options have the same values share
   * connections.
   */
  readonly tls?: tls.ConnectionOptions
  /** `wakeBatching` of `netmem/linux`, for new connections of this transfer, as in `connect`. */
  readonly wakeBatching?: WakeBatching
  /** Keeps connections for later transfers. Default: `true`, in a cache that all transfers share. */
  readonly keepAlive?: boolean | ConnectionCache
  /** Asks for gzip, deflate and brotli, and decodes them, which copies the data. Default: `false`. */
  readonly decompress?: boolean
  /** Takes coded bodies as they are. Default: `false`. Not with `decompress`. */
  readonly raw?: boolean
  /**
   * Uses the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for a URL. Default: `true`.
   */
  readonly proxy?: boolean
}
