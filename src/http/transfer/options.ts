/** Options of `getInto`, as its caller writes them. */

import type tls from 'node:tls'
import type { LowWater } from '../../net/driver/low-water.ts'
import type { ConnectionCache } from '../client/connection-cache.ts'
import type { Authorization, RequestHeaders } from '../client/request.ts'
import type { ResponseHead } from '../client/response-head.ts'
import type { GetEvent } from './events.ts'

export type OnHead = (head: ResponseHead, length: number | undefined, from: number) => void

/** How a body is fetched. */
export interface GetOptions {
  /**
   * Fields to send besides those that the transfer itself needs. They are read once, and are for the
   * URL's origin: a redirect to another origin leaves them out, but for {@link crossOriginHeaders}.
   */
  readonly headers?: RequestHeaders
  /**
   * Names of those `headers` that go to other origins, too, after a redirect; `true` for all of
   * them. None by default: any of them may be a secret (`X-Api-Key`, `Private-Token`, `Cookie`).
   */
  readonly crossOriginHeaders?: boolean | readonly string[]
  /** Follows a redirect from https: to http:, which anybody on the way can read and change; `false` by default. */
  readonly allowDowngrade?: boolean
  /** For the URL's origin; not sent to another one after a redirect. User and password of the URL go before it. */
  readonly authorization?: Authorization
  /** Breaks the transfer off. What a function of the caller's has begun, such as `onFrag`, is waited for. */
  readonly signal?: AbortSignal
  /** Redirects followed: 0 to 100; 10 by default. */
  readonly maxRedirects?: number
  /** Of a response: 1024 to 2^20; 65536 by default. */
  readonly maxHeadBytes?: number
  /** For connecting, TLS included: 1 to 2^31 − 1; 30,000 by default. */
  readonly connectTimeoutMs?: number
  /** From the request to the end of the response's head; 60,000 by default. */
  readonly headTimeoutMs?: number
  /**
   * Without a byte of the body; 60,000 by default. The time that `onFrag` takes does not count. The
   * time that the transfer waits for memory of its pool does, while none comes back.
   */
  readonly stallTimeoutMs?: number
  /**
   * Attempts after the first one, for transfers that break and servers that are busy: 0 to 1000;
   * 4 by default. Those after the first go on where the last one broke off.
   */
  readonly retries?: number
  /** The wait before the second attempt, which doubles with each one, up to 30 seconds: 1 to 60,000; 500 by default. A half of it is left to chance. */
  readonly retryDelayMs?: number
  /** The longest `Retry-After` that is waited for; 60,000 by default. For a longer one the transfer fails. */
  readonly maxRetryAfterMs?: number
  /** What to do when the body has become another one between two attempts; `fail` by default. */
  readonly onChange?: 'restart' | 'fail'
  /** Ranges fetched at once: 1, the default, to 64. Memory and files only, and servers that have ranges. */
  readonly connections?: number
  /** `true` computes the digest; a string of 64 hexadecimal digits is what it has to be. */
  readonly sha256?: boolean | string
  /**
   * Told the head once it is known what will be received: of the body's `length` bytes, if the
   * server says it, those from byte `from` on, which is not 0 where `resume` found a part. Again after
   * a restart.
   */
  readonly onHead?: OnHead
  /** Told how many bytes have arrived in all. Less than before after a restart. */
  readonly onProgress?: (bytes: number) => void
  /**
   * Told of each request, each response's head and each attempt that is made again: for logs. It
   * may not throw.
   */
  readonly onEvent?: (event: GetEvent) => void
  /** Bytes a second, at the most, and about: 1024 and more. */
  readonly maxBytesPerSecond?: number
  /**
   * Has another thread map fresh memory ahead of the body: shared memory and `hugeMemory` of
   * netmem/linux always are. Set it for other memory only if that is not transferred, resized or
   * unmapped before `getInto` settles: that thread would write zeros to where it was. `false` by default.
   */
  readonly touchAhead?: boolean
  /**
   * Options of `tls.connect`: certificates, for one. They are read once. After a redirect to another
   * origin those that say who one is are left out. Connections are shared by transfers whose TLS
   * options have the same values.
   */
  readonly tls?: tls.ConnectionOptions
  /** As that of `connect`: `lowWater` of `netmem/linux`. For connections that this transfer makes. */
  readonly lowWater?: LowWater
  /** Keeps connections for later transfers: `true` by default, in a cache that all share. */
  readonly keepAlive?: boolean | ConnectionCache
  /** Asks for gzip, deflate and brotli, and decodes them, by way of copies of the data. */
  readonly decompress?: boolean
  /** Takes the bytes as they came, whatever `Content-Encoding` says of them. Not with `decompress`. */
  readonly raw?: boolean
  /**
   * Goes through the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for a URL, which takes
   * undici, too: `true` by default.
   */
  readonly proxy?: boolean
}
