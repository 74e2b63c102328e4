/** One request and the head of its response, over a connection that rested or a new one. */

import type { Viewer } from '../../connection.ts'
import { ConnectionError, isNetmemError } from '../../errors.ts'
import { PageSupply } from '../../net/driver/page-supply.ts'
import { connect } from '../../net/index.ts'
import type { Page } from '../../netmem.ts'
import type { HostFrag } from '../../pool/frag.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { dryTimeout, protocolError } from '../http-error.ts'
import type { Settings } from '../transfer/settings.ts'
import type { Abortion } from './abortion.ts'
import { type Body, bodyOf } from './body.ts'
import { framingOf, staysOpen } from './framing.ts'
import { type RequestFields, serialiseGet, shown } from './request.ts'
import { HeadParser, type ResponseHead } from './response-head.ts'
import type { Impatient, StallWatch } from './stall-watch.ts'
import type { TlsChoice } from './tls-settings.ts'
import { Wire } from './wire.ts'

/** A response whose head is there. */
export interface Exchange {
  readonly head: ResponseHead
  readonly body: Body
  /** Where it came from, after redirects. */
  readonly url: URL
  readonly connectMs: number
  readonly tlsMs: number
  /** When the first byte of the response was there: as of `performance.now()`. */
  readonly firstByteAt: number
  /** False for a body that ends with its connection: a cut looks like its end. */
  readonly endKnown: boolean
  /** Whether the body has been taken already: see {@link TakeWhole}. */
  readonly taken: boolean
  /** Ends it: the connection rests where all of the body was read, and is closed otherwise. */
  end(): void
}

/**
 * Offered a body that came whole with its head, where it was received: returns whether it took it.
 * Called within the read, so it may neither throw nor call what is the user's.
 */
export type TakeWhole = (head: ResponseHead, body: Uint8Array) => boolean

/** What all exchanges of one transfer have in common. */
export interface Context {
  readonly settings: Settings
  /** What its connections receive into. */
  readonly pool: PagePool<Page>
  /** The pool that decoded bytes are copied to; {@link pool} where bodies are not decoded. */
  readonly decodedPool: PagePool<Page>
  readonly abortion: Abortion
}

/** 100 and 103 may come before the response, and a server must not go on with them for ever. */
const MAX_INTERIM_HEADS = 16

/** Sends the request and reads the head. Rejects with what connecting and parsing do. */
export async function exchange(
  context: Context,
  url: URL,
  fields: RequestFields,
  takeWhole: TakeWhole | undefined,
): Promise<Exchange> {
  const { settings, pool, abortion } = context
  const security = fields.trusted ? settings.tls?.trusted : settings.tls?.elsewhere
  const key = keyOf(url, security)
  const text = serialiseGet(url, fields, settings.cache !== undefined)
  for (;;) {
    abortion.check()
    const wire = settings.cache?.take(pool, key) ?? (await dial(context, url, security))
    const attempt = new Attempt(context, wire, url, key, takeWhole)
    try {
      return await attempt.send(text)
    } catch (error) {
      attempt.destroy()
      // The server closed a resting connection just now; it has not seen the request.
      if (!wire.reused || attempt.heard || !isBreak(error)) throw error
    }
  }
}

/** Whether a transfer that failed so may go on over another connection. */
export function isBreak(error: unknown): boolean {
  if (!isNetmemError(error)) return false
  return (
    error.code === 'NETMEM_CONNECTION_RESET' ||
    error.code === 'NETMEM_CONNECTION_FAILED' ||
    error.code === 'NETMEM_ENDED_EARLY'
  )
}

/**
 * One request over one connection. The head is parsed within the read that brings it, and where the
 * whole body came with it that is taken there, too: a small one takes no turn of its own, no frag and
 * no promise but one.
 */
class Attempt implements Exchange, Viewer, Impatient {
  /** Whether the server has said anything. */
  heard = false
  firstByteAt = 0
  endKnown = true
  taken = false
  readonly url: URL
  readonly connectMs: number
  readonly tlsMs: number
  readonly #context: Context
  readonly #wire: Wire
  readonly #key: string
  readonly #takeWhole: TakeWhole | undefined
  #parser: HeadParser
  #interim = 0
  /** Times that memory had come back to the pool at the last look. */
  #returns = 0
  #head: ResponseHead | undefined
  #body: Body | undefined
  #staysOpen = false
  #ended = false
  #resolve: (response: Exchange) => void = nobody
  #reject: (error: unknown) => void = nobody

  constructor(
    context: Context,
    wire: Wire,
    url: URL,
    key: string,
    takeWhole: TakeWhole | undefined,
  ) {
    this.url = url
    this.connectMs = wire.connectMs
    this.tlsMs = wire.tlsMs
    this.#context = context
    this.#wire = wire
    this.#key = key
    this.#takeWhole = takeWhole
    this.#parser = new HeadParser(context.settings.maxHeadBytes)
    context.abortion.add(wire)
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
      this.#wire.watch.begin(this.#context.settings.headTimeoutMs, this)
      // Whatever keeps it from being sent keeps the response from coming.
      this.#wire.connection.send(text)
      this.#wire.show(this)
    })
  }

  destroy(): void {
    this.#ended = true
    this.#wire.destroy()
    this.#context.abortion.remove(this.#wire)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    const { abortion, settings, pool } = this.#context
    const { cache } = settings
    const body = this.#body
    if (this.#staysOpen && cache !== undefined && body !== undefined) dropPresent(body)
    const complete = this.taken || body?.left === 0
    if (this.#staysOpen && complete && cache !== undefined && this.#wire.clean) {
      cache.give(pool, this.#key, this.#wire)
    } else {
      this.#wire.destroy()
    }
    abortion.remove(this.#wire)
  }

  view(bytes: Uint8Array): number {
    if (!this.heard) {
      this.heard = true
      this.firstByteAt = performance.now()
    }
    try {
      return this.#parse(bytes)
    } catch (error) {
      this.#wire.hide()
      this.#reject(error)
      return bytes.byteLength
    }
  }

  viewEnded(error: Error | undefined): void {
    const message = `${shown(this.url)} closed the connection before the end of its response's head.`
    this.#reject(error ?? new ConnectionError('NETMEM_ENDED_EARLY', message))
  }

  expired(limitMs: number): void {
    const { pool } = this.#context
    if (this.#head !== undefined && pool.available === 0) {
      this.#wire.connection.destroy(dryTimeout(pool, limitMs))
      return
    }
    const what =
      this.#head === undefined && this.heard ? 'did not finish its head in' : 'sent nothing for'
    const message = `${shown(this.url)} ${what} ${limitMs} ms.`
    this.#wire.connection.destroy(new ConnectionError('NETMEM_TIMEOUT', message))
  }

  /** A dry pool keeps the server waiting: as long as memory comes back, that is no stall. */
  excuses(): boolean {
    const { pool } = this.#context
    if (pool.available > 0) return false
    const { returns } = PageSupply.of(pool)
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
      if (head.status === 101) throw protocolError('The server switches protocols, unasked')
      if (++this.#interim > MAX_INTERIM_HEADS) {
        throw protocolError('The server sends one interim response after the other')
      }
      this.#parser = new HeadParser(this.#context.settings.maxHeadBytes)
    }
    return bytes.byteLength
  }

  /** The body begins at `at`; returns where it is to be read on. */
  #begun(head: ResponseHead, bytes: Uint8Array, at: number): number {
    const wire = this.#wire
    const framing = framingOf(head)
    this.#head = head
    this.#staysOpen = staysOpen(head, framing)
    this.endKnown = framing.kind !== 'close'
    wire.hide()
    if (framing.kind === 'length' && framing.bytes === bytes.byteLength - at) {
      this.taken = this.#takeWhole?.(head, bytes.subarray(at)) === true
    }
    if (this.taken) {
      this.end()
      at = bytes.byteLength
    } else {
      wire.watch.pause()
      this.#returns = PageSupply.of(this.#context.pool).returns
      const { stallTimeoutMs } = this.#context.settings
      this.#body = new WatchedBody(bodyOf(wire, framing), wire.watch, stallTimeoutMs)
    }
    this.#resolve(this)
    return at
  }
}

function nobody(): void {}

function tooEarly(): never {
  throw new Error('The response has not come yet.')
}

/** What breaks the rules of chunks ends the connection, and nothing else: nobody wants the body. */
function dropPresent(body: Body): void {
  try {
    body.dropPresent()
  } catch {
    // Something is left of it.
  }
}

/** A body that a server has to send without long pauses. */
class WatchedBody implements Body {
  readonly length: number | undefined
  readonly #body: Body
  readonly #watch: StallWatch
  readonly #stallTimeoutMs: number

  constructor(body: Body, watch: StallWatch, stallTimeoutMs: number) {
    this.length = body.length
    this.#body = body
    this.#watch = watch
    this.#stallTimeoutMs = stallTimeoutMs
  }

  get left(): number | undefined {
    return this.#body.left
  }

  readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const watch = this.#watch
    return this.#watched(
      this.#body.readInto(view, (bytes) => {
        watch.touch()
        onProgress(bytes)
      }),
    )
  }

  next(): Promise<HostFrag | undefined> {
    return this.#watched(this.#body.next())
  }

  dropPresent(): void {
    this.#body.dropPresent()
  }

  atEnd(): Promise<boolean> {
    return this.#watched(this.#body.atEnd())
  }

  async #watched<T>(work: Promise<T>): Promise<T> {
    this.#watch.resume(this.#stallTimeoutMs)
    try {
      return await work
    } finally {
      this.#watch.pause()
    }
  }
}

async function dial(
  { settings, pool, abortion }: Context,
  url: URL,
  security: TlsChoice | undefined,
): Promise<Wire> {
  const secure = url.protocol === 'https:'
  const host = hostOf(url)
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  const began = performance.now()
  const { connectTimeoutMs, lowWater } = settings
  const common = { pool, host, port, connectTimeoutMs, ...(lowWater && { lowWater }) }
  // The connection may outlive this transfer, and its signal.
  const attempt = new AbortController()
  const abort = (): void => attempt.abort(abortion.signal.reason)
  abortion.signal.addEventListener('abort', abort, { once: true })
  try {
    const connection = await connect({
      ...common,
      signal: attempt.signal,
      ...(secure ? { tls: { ...security?.options, ALPNProtocols: ['http/1.1'] } } : {}),
    })
    const wire = new Wire(connection, performance.now() - began, connection.tls?.handshakeMs ?? 0)
    const alpn = connection.tls?.alpnProtocol
    if (alpn !== undefined && alpn !== 'http/1.1') {
      wire.destroy()
      throw protocolError(`The server speaks ${alpn} where http/1.1 was offered`)
    }
    return wire
  } catch (error) {
    abortion.check()
    throw error
  } finally {
    abortion.signal.removeEventListener('abort', abort)
  }
}

/** An IPv6 address without its brackets. */
function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}

/** Transfers may share a connection to the same origin, with TLS options of the same values. */
function keyOf(url: URL, security: TlsChoice | undefined): string {
  if (url.protocol === 'http:' || security === undefined) return url.origin
  return `${url.origin} ${security.identity}`
}
