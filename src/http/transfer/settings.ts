/** What a transfer can be told, checked once, with its defaults. */

import type tls from 'node:tls'
import { checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import {
  checkOptionalBoolean,
  checkOptionalFunction,
  checkSignal,
  invalid,
} from '../../net/arguments.ts'
import type { LowWater } from '../../net/driver/low-water.ts'
import type { Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { hostProvider } from '../../providers/host.ts'
import { ConnectionCache } from '../client/connection-cache.ts'
import {
  type Authorization,
  authorizationValue,
  type HeaderFields,
  headerFields,
  type RequestHeaders,
} from '../client/request.ts'
import {
  DEFAULT_MAX_HEAD_BYTES,
  LARGEST_MAX_HEAD_BYTES,
  type ResponseHead,
} from '../client/response-head.ts'
import { TlsSettings } from '../client/tls-settings.ts'
import { HttpError } from '../http-error.ts'
import type { GetEvent } from './events.ts'

type OnHead = (head: ResponseHead, length: number | undefined, from: number) => void

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

/** {@link GetOptions} with nothing left open. */
export interface Settings {
  readonly signal: AbortSignal | undefined
  readonly headers: HeaderFields
  /** Names in lower case; `true` for all. */
  readonly crossOriginHeaders: ReadonlySet<string> | true
  readonly allowDowngrade: boolean
  readonly authorization: string | undefined
  readonly maxRedirects: number
  readonly maxHeadBytes: number
  readonly connectTimeoutMs: number
  readonly headTimeoutMs: number
  readonly stallTimeoutMs: number
  readonly retries: number
  readonly retryDelayMs: number
  readonly maxRetryAfterMs: number
  readonly onChange: 'restart' | 'fail'
  readonly connections: number
  readonly sha256: boolean
  readonly expectedSha256: string | undefined
  readonly onHead: OnHead | undefined
  readonly onProgress: ((bytes: number) => void) | undefined
  readonly onEvent: ((event: GetEvent) => void) | undefined
  readonly maxBytesPerSecond: number
  readonly touchAhead: boolean
  readonly tls: TlsSettings | undefined
  readonly lowWater: LowWater | undefined
  readonly cache: ConnectionCache | undefined
  readonly decompress: boolean
  readonly raw: boolean
  readonly proxy: boolean
}

const MAX_MS = 2 ** 31 - 1

const NAMES: OptionNames<GetOptions> = {
  headers: true,
  crossOriginHeaders: true,
  allowDowngrade: true,
  authorization: true,
  signal: true,
  maxRedirects: true,
  maxHeadBytes: true,
  connectTimeoutMs: true,
  headTimeoutMs: true,
  stallTimeoutMs: true,
  retries: true,
  retryDelayMs: true,
  maxRetryAfterMs: true,
  onChange: true,
  connections: true,
  sha256: true,
  onHead: true,
  onProgress: true,
  onEvent: true,
  maxBytesPerSecond: true,
  touchAhead: true,
  tls: true,
  lowWater: true,
  keepAlive: true,
  decompress: true,
  raw: true,
  proxy: true,
}

/** Throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE. */
export function settingsOf(given: GetOptions): Settings {
  const options = ownOptions('getInto()', given, NAMES)
  const { headers = {}, authorization, onChange = 'fail', keepAlive = true } = options
  checkKinds(options)
  if (onChange !== 'restart' && onChange !== 'fail') {
    throw invalid("onChange is 'restart' or 'fail'.")
  }
  if (options.decompress && options.raw) {
    throw invalid('decompress and raw cannot both be true: decode the body, or take it as it came.')
  }
  return {
    signal: options.signal,
    headers: headerFields(headers),
    crossOriginHeaders: crossOriginHeaders(options.crossOriginHeaders),
    allowDowngrade: options.allowDowngrade ?? false,
    authorization: authorization === undefined ? undefined : authorizationValue(authorization),
    maxRedirects: checkInteger('maxRedirects', options.maxRedirects ?? 10, 0, 100),
    maxHeadBytes: checkInteger(
      'maxHeadBytes',
      options.maxHeadBytes ?? DEFAULT_MAX_HEAD_BYTES,
      1024,
      LARGEST_MAX_HEAD_BYTES,
    ),
    connectTimeoutMs: milliseconds('connectTimeoutMs', options.connectTimeoutMs, 30_000),
    headTimeoutMs: milliseconds('headTimeoutMs', options.headTimeoutMs, 60_000),
    stallTimeoutMs: milliseconds('stallTimeoutMs', options.stallTimeoutMs, 60_000),
    retries: checkInteger('retries', options.retries ?? 4, 0, 1000),
    retryDelayMs: checkInteger('retryDelayMs', options.retryDelayMs ?? 500, 1, 60_000),
    maxRetryAfterMs: checkInteger('maxRetryAfterMs', options.maxRetryAfterMs ?? 60_000, 0, MAX_MS),
    onChange,
    connections: checkInteger('connections', options.connections ?? 1, 1, 64),
    sha256: options.sha256 !== undefined && options.sha256 !== false,
    expectedSha256: expectedSha256(options.sha256),
    onHead: options.onHead,
    onProgress: options.onProgress,
    onEvent: options.onEvent,
    maxBytesPerSecond: checkInteger(
      'maxBytesPerSecond',
      options.maxBytesPerSecond ?? Number.MAX_SAFE_INTEGER,
      1024,
      Number.MAX_SAFE_INTEGER,
    ),
    touchAhead: options.touchAhead ?? false,
    tls: options.tls === undefined ? undefined : new TlsSettings(options.tls),
    lowWater: options.lowWater,
    cache: keepAlive === true ? sharedCache() : keepAlive === false ? undefined : keepAlive,
    decompress: options.decompress ?? false,
    raw: options.raw ?? false,
    proxy: options.proxy ?? true,
  }
}

/** Throws NETMEM_DIGEST_MISMATCH unless the digest is the one that was expected. */
export function checkDigest(settings: Settings, sha256: string | undefined): void {
  const { expectedSha256 } = settings
  if (expectedSha256 === undefined || expectedSha256 === sha256) return
  throw new HttpError(
    'NETMEM_DIGEST_MISMATCH',
    `The body's SHA-256 is ${sha256}, not ${expectedSha256}: it is damaged, or another one. Nothing of it is to be used.`,
  )
}

let cache: ConnectionCache | undefined

function sharedCache(): ConnectionCache {
  cache ??= new ConnectionCache()
  return cache
}

let pool: PagePool<Page> | undefined

/** Pages of the shared pool: a read that fills the connection's small buffer goes on in one. */
const HEAD_PAGES = 64
const HEAD_PAGE_BYTES = 16 * 1024

/** The pool of connections whose bodies go to memory: heads and what comes with them pass through it. */
export function headPool(): PagePool<Page> {
  pool ??= createPool(hostProvider({ pages: HEAD_PAGES, pageSize: HEAD_PAGE_BYTES }))
  return pool
}

/** What would otherwise fail in the middle of a transfer, or of somebody else's code. */
function checkKinds({
  signal,
  keepAlive,
  onHead,
  onProgress,
  onEvent,
  lowWater,
  allowDowngrade,
  touchAhead,
  decompress,
  raw,
  proxy,
}: GetOptions): void {
  checkSignal(signal)
  for (const [name, chosen] of Object.entries({
    allowDowngrade,
    touchAhead,
    decompress,
    raw,
    proxy,
  })) {
    checkOptionalBoolean(name, chosen)
  }
  for (const [name, told] of Object.entries({ onHead, onProgress, onEvent, lowWater })) {
    checkOptionalFunction(name, told)
  }
  if (!(keepAlive instanceof ConnectionCache) && !/^(undefined|boolean)$/.test(typeof keepAlive)) {
    throw invalid('keepAlive is true, false or a ConnectionCache.')
  }
}

function crossOriginHeaders(names: boolean | readonly string[] = []): ReadonlySet<string> | true {
  if (typeof names === 'boolean') return names || new Set()
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) {
    return new Set(names.map((name) => name.toLowerCase()))
  }
  throw invalid('crossOriginHeaders is true, false, or an array of names.')
}

function milliseconds(name: string, value: number | undefined, otherwise: number): number {
  return checkInteger(name, value ?? otherwise, 1, MAX_MS)
}

function expectedSha256(sha256: boolean | string | undefined): string | undefined {
  if (sha256 === undefined || typeof sha256 === 'boolean') return undefined
  if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/i.test(sha256)) return sha256.toLowerCase()
  throw invalid('sha256 is true, false, or 64 hexadecimal digits.')
}
