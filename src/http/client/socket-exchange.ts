/** Requests over connections of netmem/net: one that rested or a new one. */

import type { Viewer } from '../../connection.ts'
import { ConnectionError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { dryTimeout, protocolError } from '../http-error.ts'
import { type Body, bodyOf } from './body.ts'
import { dial } from './dial.ts'
import { type Exchange, type ExchangeContext, isBreak, type TakeWhole } from './exchange.ts'
import { framingOf, staysOpen } from './framing.ts'
import type { HttpConnection } from './http-connection.ts'
import { displayUrl, type RequestFields, serialiseGet } from './request.ts'
import { HeadParser, type ResponseHead } from './response-head.ts'
import type { StallListener } from './stall-timer.ts'
import { TimedBody } from './timed-body.ts'
import type { TlsChoice } from './tls-settings.ts'

/** Limit of interim responses (100, 103) before the response. */
const MAX_INTERIM_HEADS = 16

/** Sends the request and reads the head. Rejects with the errors of connecting and parsing. */
export async function socketExchange(
  context: ExchangeContext,
  url: URL,
  fields: RequestFields,
  takeWhole: TakeWhole | undefined,
): Promise<Exchange> {
  const { settings, pool, abort } = context
  const security = fields.trusted ? settings.tls?.trusted : settings.tls?.elsewhere
  const key = keyOf(url, security)
  const text = serialiseGet(url, fields, settings.cache !== undefined)
  for (;;) {
    abort.check()
    const connection = settings.cache?.take(pool, key) ?? (await dial(context, url, security))
    const attempt = new SocketExchange(context, connection, url, key, takeWhole)
    try {
      return await attempt.send(text)
    } catch (error) {
      attempt.destroy()
      // The server has closed the resting connection before it saw the request.
      if (!connection.reused || attempt.heard || !isBreak(error)) throw error
    }
  }
}

/**
 * One request over one connection. The read that brings the head parses it, and takes a body that came
 * whole with it. So a small body costs one promise and no frag.
 */
class SocketExchange implements Exchange, Viewer, StallListener {
  /** True if the server has sent a byte. */
  heard = false
  firstByteAt = 0
  endKnown = true
  taken = false
  readonly url: URL
  readonly connectMs: number
  readonly tlsMs: number
  readonly #context: ExchangeContext
  readonly #connection: HttpConnection
  readonly #key: string
  readonly #takeWhole: TakeWhole | undefined
  #parser: HeadParser
  #interim = 0
  /** {@link returnsTo} the pool at the last look. */
  #returns = 0
  #head: ResponseHead | undefined
  #body: Body | undefined
  #staysOpen = false
  #ended = false
  #resolve: (response: Exchange) => void = ignore
  #reject: (error: unknown) => void = ignore

  constructor(
    context: ExchangeContext,
    connection: HttpConnection,
    url: URL,
    key: string,
    takeWhole: TakeWhole | undefined,
  ) {
    this.url = url
    this.connectMs = connection.connectMs
    this.tlsMs = connection.tlsMs
    this.#context = context
    this.#connection = connection
    this.#key = key
    this.#takeWhole = takeWhole
    this.#parser = new HeadParser(context.settings.maxHeadBytes)
    context.abort.add(connection)
  }

  get head(): ResponseHead {
    return this.#head ?? tooEarly()
  }

  get body(): Body {
    return this.#body ?? tooEarly()
  }

  send(text: string): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#connection.timer.begin(this.#context.settings.headTimeoutMs, this)
      // A failure to send shows as a response that does not come.
      this.#connection.transport.send(text)
      this.#connection.show(this)
    })
  }

  destroy(): void {
    this.#ended = true
    this.#connection.destroy()
    this.#context.abort.remove(this.#connection)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    const { abort, settings, pool } = this.#context
    const { cache } = settings
    const body = this.#body
    if (this.#staysOpen && cache !== undefined && body !== undefined) dropPresent(body)
    const complete = this.taken || body?.left === 0
    if (this.#staysOpen && complete && cache !== undefined && this.#connection.clean) {
      cache.give(pool, this.#key, this.#connection)
    } else {
      this.#connection.destroy()
    }
    abort.remove(this.#connection)
  }

  view(bytes: Uint8Array): number {
    if (!this.heard) {
      this.heard = true
      this.firstByteAt = performance.now()
    }
    try {
      return this.#parse(bytes)
    } catch (error) {
      this.#connection.hide()
      this.#reject(error)
      return bytes.byteLength
    }
  }

  viewEnded(error: Error | undefined): void {
    const message = `${displayUrl(this.url)} closed the connection before the end of its response's head.`
    this.#reject(error ?? new ConnectionError('NETMEM_ENDED_EARLY', message))
  }

  expired(limitMs: number): void {
    const { pool } = this.#context
    if (this.#head !== undefined && pool.available === 0) {
      this.#connection.transport.destroy(dryTimeout(pool, limitMs))
      return
    }
    const what =
      this.#head === undefined && this.heard ? 'did not finish its head in' : 'sent nothing for'
    const message = `${displayUrl(this.url)} ${what} ${limitMs} ms.`
    this.#connection.transport.destroy(new ConnectionError('NETMEM_TIMEOUT', message))
  }

  /** True while a dry pool keeps the server waiting and memory comes back to it. */
  excuses(): boolean {
    const { pool } = this.#context
    if (pool.available > 0) return false
    const returns = returnsTo(pool)
    const goesOn = pool.destroyed || returns !== this.#returns
    this.#returns = returns
    return goesOn
  }

  #parse(bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.byteLength) {
      const parsed = this.#parser.feed(at === 0 ? bytes : bytes.subarray(at))
      if (parsed === undefined) break
      at += parsed.end
      const { head } = parsed
      if (head.status >= 200) return this.#begun(head, bytes, at)
      if (head.status === 101)
        throw protocolError('The server switches protocols without a request to do so')
      if (++this.#interim > MAX_INTERIM_HEADS) {
        throw protocolError(`The server sends more than ${MAX_INTERIM_HEADS} interim responses`)
      }
      this.#parser = new HeadParser(this.#context.settings.maxHeadBytes)
    }
    return bytes.byteLength
  }

  /** Begins the body at `at`. Returns the first byte that a reader of the body gets. */
  #begun(head: ResponseHead, bytes: Uint8Array, at: number): number {
    const connection = this.#connection
    const framing = framingOf(head)
    this.#head = head
    this.#staysOpen = staysOpen(head, framing)
    this.endKnown = framing.kind !== 'close'
    connection.hide()
    if (framing.kind === 'length' && framing.bytes === bytes.byteLength - at) {
      this.taken = this.#takeWhole?.(head, bytes.subarray(at)) === true
    }
    if (this.taken) {
      this.end()
      at = bytes.byteLength
    } else {
      connection.timer.pause()
      this.#returns = returnsTo(this.#context.pool)
      const { stallTimeoutMs } = this.#context.settings
      this.#body = new TimedBody(bodyOf(connection, framing), connection.timer, stallTimeoutMs)
    }
    this.#resolve(this)
    return at
  }
}

/** Returns a count that grows whenever pages or copies come back to `pool`. */
function returnsTo(pool: PagePool<Page>): number {
  const { recycle, copied } = pool.stats()
  const pages = recycle.cached + recycle.ring + recycle.ring_full + recycle.released_refcnt
  return pages + copied.bytes - copied.bytesOut
}

function ignore(): void {}

function tooEarly(): never {
  throw new Error('The response has not come yet.')
}

/** Drops the present bytes of an unwanted body. Invalid chunks only end the connection. */
function dropPresent(body: Body): void {
  try {
    body.dropPresent()
  } catch {
    // Something is left of it.
  }
}

/** Returns the key of connections that transfers may share: the same origin, and TLS options of the same values. */
function keyOf(url: URL, security: TlsChoice | undefined): string {
  if (url.protocol === 'http:' || security === undefined) return url.origin
  return `${url.origin} ${security.identity}`
}
