/** Requests over connections of netmem/net: one that rested or a new one, perhaps through a proxy. */

import type { Viewer } from '../../connection.ts'
import { ConnectionError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { dryTimeout, protocolError } from '../http-error.ts'
import { FramedBody } from './body.ts'
import { dial, type Route } from './dial.ts'
import { type Exchange, type ExchangeContext, isBreak, type TakeWhole } from './exchange.ts'
import { type BodyFraming, framingOf, staysOpen } from './framing.ts'
import type { HttpConnection } from './http-connection.ts'
import { proxyFor } from './proxy.ts'
import { displayUrl, type HeaderFields, serialiseGet } from './request.ts'
import { HeadParser, type ResponseHead } from './response-head.ts'
import type { StallListener } from './stall-timer.ts'
import { tlsElsewhere } from './tls-settings.ts'

/** Limit of interim responses (100, 103) before the response. */
const MAX_INTERIM_HEADS = 16

/**
 * Sends the request and reads the head. Rejects with the errors of connecting and parsing.
 * @param trusted True if the caller named the URL's origin. False if only a redirect did.
 */
export async function socketExchange(
  context: ExchangeContext,
  url: URL,
  fields: HeaderFields,
  trusted: boolean,
  takeWhole: TakeWhole | undefined,
): Promise<Exchange> {
  const { settings, pool, abort } = context
  const { cache } = settings
  const route = routeTo(url, settings, trusted)
  // A tunnel hides the request from the proxy.
  const reader = url.protocol === 'http:' ? route.proxy : undefined
  const request = serialiseGet(url, fields, cache !== undefined, reader)
  for (;;) {
    abort.check()
    const connection = cache?.take(pool, route.key) ?? (await dial(context, route))
    const response = new PendingResponse(context, url, connection, takeWhole)
    abort.add(connection.transport)
    try {
      return await response.to(request)
    } catch (error) {
      connection.destroy()
      abort.remove(connection.transport)
      // The server has closed the resting connection before it saw the request.
      if (!connection.reused || response.heard || !isBreak(error)) throw error
    }
  }
}

/**
 * Returns the way to the origin of `url`. Transfers share connections to the same origin, through the same
 * proxy, with TLS options of the same values.
 */
function routeTo(url: URL, settings: ExchangeContext['settings'], trusted: boolean): Route {
  const proxy = settings.proxy ? proxyFor(url, process.env) : undefined
  const given = url.protocol === 'https:' ? settings.tls : undefined
  const tls = given === undefined || trusted ? given : tlsElsewhere(given)
  const key = proxy === undefined ? url.origin : `${proxy.href} ${url.origin}`
  return { url, proxy, tls, key: tls === undefined ? key : `${key} ${tls.identity}` }
}

/**
 * One response over one connection. The read that brings the head parses it, and takes a body that came
 * whole with it. So a small body costs one promise and no frag.
 */
class PendingResponse implements Viewer, StallListener {
  readonly #context: ExchangeContext
  readonly #url: URL
  readonly #connection: HttpConnection
  readonly #takeWhole: TakeWhole | undefined
  #parser: HeadParser
  #interim = 0
  /** Time of the first byte, or 0 before it. */
  #firstByteAt = 0
  #hasHead = false
  /** Result of {@link returnsTo} when it was last called. */
  #returns = 0
  #resolve: (response: Exchange) => void = ignore
  #reject: (error: unknown) => void = ignore

  constructor(
    context: ExchangeContext,
    url: URL,
    connection: HttpConnection,
    takeWhole: TakeWhole | undefined,
  ) {
    this.#context = context
    this.#url = url
    this.#connection = connection
    this.#takeWhole = takeWhole
    this.#parser = new HeadParser(context.settings.maxHeadBytes)
  }

  /** True if the server has sent a byte. */
  get heard(): boolean {
    return this.#firstByteAt > 0
  }

  /** Sends `request`, and resolves when the head has arrived. */
  to(request: string): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#connection.ask(request, this, this.#context.settings)
    })
  }

  view(bytes: Uint8Array): number {
    if (!this.heard) this.#firstByteAt = performance.now()
    try {
      return this.#parse(bytes)
    } catch (error) {
      this.#connection.hide()
      this.#reject(error)
      return bytes.byteLength
    }
  }

  viewEnded(error: Error | undefined): void {
    const message = `${displayUrl(this.#url)} closed the connection before the end of its response's head.`
    this.#reject(error ?? new ConnectionError('NETMEM_ENDED_EARLY', message))
  }

  expired(limitMs: number): void {
    const { pool } = this.#context
    const { transport } = this.#connection
    if (this.#hasHead && pool.available === 0) {
      transport.destroy(dryTimeout(pool, limitMs))
      return
    }
    const what = !this.#hasHead && this.heard ? 'did not finish its head in' : 'sent nothing for'
    const message = `${displayUrl(this.#url)} ${what} ${limitMs} ms.`
    transport.destroy(new ConnectionError('NETMEM_TIMEOUT', message))
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
      if (head.status >= 200) return this.#begin(head, bytes, at)
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
  #begin(head: ResponseHead, bytes: Uint8Array, at: number): number {
    const connection = this.#connection
    const framing = framingOf(head)
    this.#hasHead = true
    connection.hide()
    const isWhole = framing.kind === 'length' && framing.bytes === bytes.byteLength - at
    const taken = isWhole && this.#takeWhole?.(head, bytes.subarray(at)) === true
    const body = new FramedBody(connection, taken ? NO_BODY : framing, this.#context.limiter)
    const { connectMs, tlsMs } = connection
    const end = this.#ending(body, staysOpen(head, framing))
    // The connection can carry the next exchange before this one is looked at.
    if (taken) end()
    else this.#returns = returnsTo(this.#context.pool)
    this.#resolve({
      head,
      body,
      url: this.#url,
      connectMs,
      tlsMs,
      firstByteAt: this.#firstByteAt,
      endKnown: framing.kind !== 'close',
      taken,
      end,
    })
    return taken ? bytes.byteLength : at
  }

  /** Returns the function that ends the exchange. */
  #ending(body: FramedBody, mayStay: boolean): () => void {
    let ended = false
    return () => {
      if (ended) return
      ended = true
      const { abort, settings } = this.#context
      if (mayStay && settings.cache !== undefined && isComplete(body)) {
        settings.cache.give(this.#connection)
      } else {
        this.#connection.destroy()
      }
      abort.remove(this.#connection.transport)
    }
  }
}

const NO_BODY: BodyFraming = { kind: 'length', bytes: 0 }

/** Returns a count that grows whenever pages or copies come back to `pool`. */
function returnsTo(pool: PagePool<Page>): number {
  const { recycle, copied } = pool.stats()
  const pages = recycle.cached + recycle.ring + recycle.ring_full + recycle.released_refcnt
  return pages + copied.bytes - copied.bytes_out
}

function ignore(): void {}

/** Drops the present bytes of a body, and returns true if that was the rest of it. */
function isComplete(body: FramedBody): boolean {
  try {
    body.dropPresent()
  } catch {
    // Invalid chunks only end the connection.
  }
  return body.left === 0
}
