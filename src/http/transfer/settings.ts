/** Settings of one transfer: its options, checked once, with their defaults. */

import { checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import {
  checkOptionalBoolean,
  checkOptionalFunction,
  checkSignal,
  invalid,
} from '../../net/internal.ts'
import { ConnectionCache } from '../client/connection-cache.ts'
import type { ExchangeSettings } from '../client/exchange.ts'
import { authorizationValue, type CallerFields, headerFields } from '../client/request.ts'
import { DEFAULT_MAX_HEAD_BYTES, LARGEST_MAX_HEAD_BYTES } from '../client/response-head.ts'
import { tlsSettings } from '../client/tls-settings.ts'
import type { GetOptions } from './options.ts'

/** Options that are taken as they are, or by their default. */
type Plain =
  | 'allowDowngrade'
  | 'connections'
  | 'decompress'
  | 'maxRedirects'
  | 'maxRetryAfterMs'
  | 'onChange'
  | 'raw'
  | 'retries'
  | 'retryDelayMs'
  | 'touchAhead'

/** {@link GetOptions} with all defaults filled in. */
export interface Settings
  extends ExchangeSettings,
    CallerFields,
    Required<Pick<GetOptions, Plain>> {
  readonly signal: AbortSignal | undefined
  readonly maxBytesPerSecond: number | undefined
  readonly sha256: boolean
  readonly expectedSha256: string | undefined
  readonly onHead: GetOptions['onHead']
  readonly onProgress: GetOptions['onProgress']
  readonly onEvent: GetOptions['onEvent']
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
  wakeBatching: true,
  keepAlive: true,
  decompress: true,
  raw: true,
  proxy: true,
}

/**
 * Checks options, and fills in defaults.
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for wrong options.
 */
export function settingsOf(given: GetOptions): Settings {
  const options = ownOptions('getInto()', given, NAMES)
  const { headers = {}, authorization, onChange = 'fail', keepAlive = true } = options
  const { maxBytesPerSecond } = options
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
    maxBytesPerSecond:
      maxBytesPerSecond === undefined
        ? undefined
        : checkInteger('maxBytesPerSecond', maxBytesPerSecond, 1024, Number.MAX_SAFE_INTEGER),
    touchAhead: options.touchAhead ?? false,
    tls: options.tls === undefined ? undefined : tlsSettings(options.tls),
    wakeBatching: options.wakeBatching,
    cache: keepAlive === true ? sharedCache() : keepAlive === false ? undefined : keepAlive,
    decompress: options.decompress ?? false,
    raw: options.raw ?? false,
    proxy: options.proxy ?? true,
  }
}

let cache: ConnectionCache | undefined

function sharedCache(): ConnectionCache {
  cache ??= new ConnectionCache()
  return cache
}

/** Checks kinds of options that would otherwise fail in the middle of a transfer. */
function checkKinds(options: GetOptions): void {
  const { signal, keepAlive } = options
  checkSignal(signal)
  for (const name of ['allowDowngrade', 'touchAhead', 'decompress', 'raw', 'proxy'] as const) {
    checkOptionalBoolean(name, options[name])
  }
  for (const name of ['onHead', 'onProgress', 'onEvent', 'wakeBatching'] as const) {
    checkOptionalFunction(name, options[name])
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
