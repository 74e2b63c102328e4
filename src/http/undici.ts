/**
 * What takes more than the client of this folder: proxies, and bodies to be decoded. undici, an
 * optional dependency, does the work, and each chunk of the body is copied once from its buffers.
 */

import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type * as Undici from 'undici'
import { ArgumentTypeError, ConnectionError } from '../errors.ts'
import { ChunkFrags } from '../net/chunk-frags.ts'
import { unlessAborted } from '../net/interruption.ts'
import type { Page } from '../netmem.ts'
import type { HostFrag } from '../pool/frag.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { type Body, endedEarly } from './body.ts'
import type { Context, Exchange } from './exchange.ts'
import { framingOf } from './framing.ts'
import { HeaderList } from './header-list.ts'
import { dryTimeout, HttpError, protocolError } from './http-error.ts'
import { proxyFor } from './proxy.ts'
import { type RequestFields, requestFields, shown } from './request.ts'
import type { ResponseHead } from './response-head.ts'
import type { Settings } from './settings.ts'

/** Whether this URL cannot be had without undici. */
export function needsUndici(url: URL, { decompress, proxy }: Settings): boolean {
  return decompress || (proxy && proxyFor(url, process.env) !== undefined)
}

/** As `exchange`, by way of undici. */
export async function undiciExchange(
  context: Context,
  url: URL,
  fields: RequestFields,
): Promise<Exchange> {
  const { settings, abortion, pool } = context
  abortion.check()
  const { Agent, ProxyAgent, request } = await load()
  const proxy = settings.proxy ? proxyFor(url, process.env) : undefined
  const choice = fields.trusted ? settings.tls?.trusted : settings.tls?.elsewhere
  const security: object = { ...choice?.options }
  const connect = { timeout: settings.connectTimeoutMs, ...security }
  const common = {
    connect,
    headersTimeout: settings.headTimeoutMs,
    bodyTimeout: settings.stallTimeoutMs,
    maxHeaderSize: settings.maxHeadBytes,
  }
  const dispatcher =
    proxy === undefined
      ? new Agent(common)
      : proxied(
          url,
          () =>
            new ProxyAgent({
              ...common,
              uri: proxy,
              requestTls: connect,
              // Proxies that only tunnel to port 443 are the rule.
              proxyTunnel: url.protocol === 'https:',
            }),
        )
  // A range of a coded body is a range of the code.
  const coded = settings.decompress && fields.range === undefined
  const headers = Object.fromEntries([
    ...requestFields(url, fields),
    ['Accept-Encoding', coded ? 'gzip, deflate, br' : 'identity'],
  ])
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  let response: Undici.Dispatcher.ResponseData
  try {
    response = await request(bare, { dispatcher, headers, signal: abortion.signal })
  } catch (cause) {
    dispatcher.destroy().catch(() => {})
    throw translated(url, cause, 'NETMEM_CONNECT_FAILED')
  }
  const firstByteAt = performance.now()
  const head = headOf(response)
  const framing = framingOf(head)
  const decoded = coded ? decodedBy(response.body, head) : response.body
  const length = decoded === response.body && framing.kind === 'length' ? framing.bytes : undefined
  const body = new CopiedBody(
    decoded,
    response.body,
    length,
    pool,
    url,
    abortion.signal,
    settings.stallTimeoutMs,
  )
  let ended = false
  return {
    head: decoded === response.body ? head : withoutCoding(head),
    body,
    url,
    connectMs: 0,
    tlsMs: 0,
    firstByteAt,
    taken: false,
    end: () => {
      if (ended) return
      ended = true
      body.drop()
      response.body.on('error', () => {}).destroy()
      dispatcher.destroy().catch(() => {})
    },
  }
}

/** What the environment says may be no proxy at all. */
function proxied<T>(url: URL, make: () => T): T {
  try {
    return make()
  } catch {
    // It may have a password in it, and so has the error.
    const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
    const message = `What ${name} says is no proxy's URL; write http://HOST:PORT, or set proxy: false.`
    throw new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', message)
  }
}

async function load(): Promise<typeof Undici> {
  try {
    return await import('undici')
  } catch (cause) {
    throw new HttpError(
      'NETMEM_HTTP_NEEDS_UNDICI',
      'A proxy, or decompress: true, takes undici, which is not installed: npm install undici@7. Or set proxy: false.',
      { cause },
    )
  }
}

function headOf({ statusCode, headers }: Undici.Dispatcher.ResponseData): ResponseHead {
  const names: string[] = []
  const values: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? '']) {
      names.push(name.toLowerCase())
      values.push(one)
    }
  }
  return { version: '1.1', status: statusCode, reason: '', headers: new HeaderList(names, values) }
}

/** What is left of a head when its body has been decoded: its length and digest are another's. */
function withoutCoding(head: ResponseHead): ResponseHead {
  const kept = [...head.headers].filter(
    ([name]) =>
      name !== 'content-encoding' &&
      name !== 'content-length' &&
      name !== 'etag' &&
      name !== 'accept-ranges' &&
      name !== 'last-modified',
  )
  const names = kept.map(([name]) => name)
  return {
    ...head,
    headers: new HeaderList(
      names,
      kept.map(([, value]) => value),
    ),
  }
}

function decodedBy(body: Readable, head: ResponseHead): Readable {
  const coding = (head.headers.get('content-encoding') ?? 'identity').toLowerCase()
  if (coding === 'identity' || coding === '') return body
  const decoder =
    coding === 'gzip' || coding === 'x-gzip'
      ? createGunzip()
      : coding === 'deflate'
        ? createInflate()
        : coding === 'br'
          ? createBrotliDecompress()
          : undefined
  if (decoder === undefined) return body
  body.on('error', (error) => decoder.destroy(error))
  return body.pipe(decoder)
}

class CopiedBody implements Body {
  readonly length: number | undefined
  readonly #chunks: AsyncIterator<unknown>
  readonly #pool: PagePool<Page>
  readonly #frags: ChunkFrags
  readonly #stallTimeoutMs: number
  readonly #url: URL
  readonly #signal: AbortSignal
  readonly #decoded: Readable
  #chunk: Uint8Array = new Uint8Array(0)
  #received = 0
  #ended = false

  constructor(
    decoded: Readable,
    raw: Readable,
    length: number | undefined,
    pool: PagePool<Page>,
    url: URL,
    signal: AbortSignal,
    stallTimeoutMs: number,
  ) {
    this.length = length
    this.#frags = new ChunkFrags(pool)
    this.#stallTimeoutMs = stallTimeoutMs
    this.#decoded = decoded
    this.#chunks = decoded.iterator({ destroyOnReturn: false })
    this.#pool = pool
    this.#url = url
    this.#signal = signal
    if (decoded !== raw) decoded.on('error', () => raw.destroy())
  }

  get left(): number | undefined {
    if (this.#ended && this.#chunk.byteLength === 0) return 0
    return this.length === undefined ? undefined : this.length - this.#received
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    let filled = 0
    while (filled < view.byteLength && !(await this.atEnd())) {
      const part = this.#take(view.byteLength - filled)
      view.set(part, filled)
      filled += part.byteLength
      onProgress(filled)
    }
    return filled
  }

  async next(): Promise<HostFrag | undefined> {
    if (await this.atEnd()) return undefined
    let frag = this.#frags.take(this.#chunk)
    while (frag === undefined) {
      await this.#untilAvailable()
      frag = this.#frags.take(this.#chunk)
    }
    this.#take(frag.length)
    return frag
  }

  async atEnd(): Promise<boolean> {
    while (this.#chunk.byteLength === 0 && !this.#ended) {
      const { done, value } = await this.#nextChunk()
      if (done === true) this.#ended = true
      else if (value instanceof Uint8Array) this.#chunk = value
    }
    if (this.#chunk.byteLength > 0) return false
    if (this.length !== undefined && this.#received < this.length) {
      throw endedEarly(this.#received, this.length)
    }
    return true
  }

  dropPresent(): void {}

  drop(): void {
    this.#frags.end()
    this.#decoded.on('error', () => {}).destroy()
  }

  /** Waits for memory, which may never come back. */
  async #untilAvailable(): Promise<void> {
    const limit = this.#stallTimeoutMs
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(dryTimeout(this.#pool, limit)), limit)
    })
    try {
      const available = unlessAborted(this.#frags.whenAvailable(), this.#signal)
      await Promise.race([available, timeout])
    } finally {
      clearTimeout(timer)
    }
  }

  #take(limit: number): Uint8Array {
    const part = this.#chunk.subarray(0, limit)
    this.#chunk = this.#chunk.subarray(part.byteLength)
    this.#received += part.byteLength
    return part
  }

  async #nextChunk(): Promise<IteratorResult<unknown, unknown>> {
    try {
      return await this.#chunks.next()
    } catch (cause) {
      throw translated(this.#url, cause, 'NETMEM_CONNECTION_RESET')
    }
  }
}

/** undici's and zlib's errors, by what they mean here. */
function translated(
  url: URL,
  cause: unknown,
  otherwise: 'NETMEM_CONNECT_FAILED' | 'NETMEM_CONNECTION_RESET',
): Error {
  const found: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  const code = typeof found === 'string' ? found : ''
  const message = cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause)
  if (code.startsWith('Z_') || code.startsWith('ERR_BROTLI') || code.startsWith('ERR__')) {
    return protocolError(`The body cannot be decoded: ${message}`)
  }
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new HttpError('NETMEM_HTTP_HEAD_TOO_LARGE', `The head of ${shown(url)} is too large.`, {
      cause,
    })
  }
  if (code.startsWith('HPE_')) return protocolError(message)
  if (/TIMEOUT/.test(code)) {
    return new ConnectionError('NETMEM_TIMEOUT', `${shown(url)} sent nothing for too long.`, {
      cause,
    })
  }
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS|ERR_SSL|HOSTNAME)/.test(code)) {
    return new ConnectionError('NETMEM_TLS', `TLS with ${shown(url)} failed: ${message}.`, {
      cause,
    })
  }
  return new ConnectionError(otherwise, `${shown(url)}, by way of undici: ${message}.`, { cause })
}
