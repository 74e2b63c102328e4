/** One request and the head of its response, over a connection that rested or a new one. */

import { isIP } from 'node:net'
import type tls from 'node:tls'
import { ConnectionError, isNetmemError } from '../errors.ts'
import { connect } from '../net/index.ts'
import type { Page } from '../netmem.ts'
import type { HostFrag } from '../pool/frag.ts'
import type { PagePool } from '../pool/page-pool.ts'
import type { Abortion } from './abortion.ts'
import { type Body, bodyOf } from './body.ts'
import { framingOf, staysOpen } from './framing.ts'
import { protocolError } from './http-error.ts'
import { type RequestFields, serialiseGet, shown } from './request.ts'
import { HeadParser, type ResponseHead } from './response-head.ts'
import type { Settings } from './settings.ts'
import { StallWatch } from './stall-watch.ts'
import { TlsTimer } from './tls-timer.ts'
import { tlsFor } from './trust.ts'
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
  /** Ends it: the connection rests where all of the body was read, and is closed otherwise. */
  end(): void
}

/** What all exchanges of one transfer have in common. */
export interface Context {
  readonly settings: Settings
  /** What its connections receive into. */
  readonly pool: PagePool<Page>
  readonly abortion: Abortion
}

/** 100 and 103 may come before the response, and a server must not go on with them for ever. */
const MAX_INTERIM_HEADS = 16

/** Sends the request and reads the head. Rejects with what connecting and parsing do. */
export async function exchange(
  context: Context,
  url: URL,
  fields: RequestFields,
): Promise<Exchange> {
  const { settings, pool, abortion } = context
  const security = tlsFor(settings, fields.trusted)
  const key = keyOf(url, security)
  const text = serialiseGet(url, fields, settings.cache !== undefined)
  for (;;) {
    abortion.check()
    const wire = settings.cache?.take(pool, key) ?? (await dial(context, url, security))
    const attempt = new Attempt(context, wire, url, key)
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

class Attempt {
  /** Whether the server has said anything. */
  heard = false
  readonly #context: Context
  readonly #wire: Wire
  readonly #url: URL
  readonly #key: string
  readonly #watch: StallWatch
  #ended = false

  constructor(context: Context, wire: Wire, url: URL, key: string) {
    this.#context = context
    this.#wire = wire
    this.#url = url
    this.#key = key
    const { pool } = context
    const expired = (limitMs: number): void => {
      const message = `${shown(url)} sent nothing for ${limitMs} ms.`
      wire.connection.destroy(new ConnectionError('NETMEM_TIMEOUT', message))
    }
    // A consumer that holds all pages keeps its own connection waiting.
    this.#watch = new StallWatch(expired, () => pool.destroyed || pool.available === 0)
    context.abortion.add(wire)
  }

  async send(text: string): Promise<Exchange> {
    const wire = this.#wire
    const { headTimeoutMs } = this.#context.settings
    this.#watch.begin(headTimeoutMs)
    // Whatever keeps it from being sent keeps the response from coming.
    wire.connection.write(text).catch(() => {})
    const { head, firstByteAt } = await this.#readHead()
    const framing = framingOf(head)
    this.#watch.pause()
    const body = bodyOf(wire, framing)
    return {
      head,
      body: new WatchedBody(body, this.#watch, this.#context.settings.stallTimeoutMs),
      url: this.#url,
      connectMs: wire.connectMs,
      tlsMs: wire.tlsMs,
      firstByteAt,
      end: () => this.#end(body, staysOpen(head, framing)),
    }
  }

  destroy(): void {
    this.#ended = true
    this.#watch.stop()
    this.#wire.destroy()
    this.#context.abortion.remove(this.#wire)
  }

  async #readHead(): Promise<{ readonly head: ResponseHead; readonly firstByteAt: number }> {
    const wire = this.#wire
    const { maxHeadBytes } = this.#context.settings
    let firstByteAt = 0
    let interim = 0
    let parser = new HeadParser(maxHeadBytes)
    for (;;) {
      if (wire.present === undefined && !(await wire.more())) {
        const message = `${shown(this.#url)} closed the connection before the end of its response's head.`
        throw new ConnectionError('NETMEM_ENDED_EARLY', message)
      }
      if (!this.heard) {
        this.heard = true
        firstByteAt = performance.now()
      }
      const { present } = wire
      if (present === undefined) continue
      const parsed = parser.feed(present)
      wire.skip(parsed?.end ?? present.byteLength)
      if (parsed === undefined) continue
      const { head } = parsed
      if (head.status >= 200) return { head, firstByteAt }
      if (head.status === 101) throw protocolError('The server switches protocols, unasked')
      if (++interim > MAX_INTERIM_HEADS) {
        throw protocolError('The server sends one interim response after the other')
      }
      parser = new HeadParser(maxHeadBytes)
    }
  }

  #end(body: Body, staysOpen: boolean): void {
    if (this.#ended) return
    this.#ended = true
    this.#watch.stop()
    const { abortion, settings, pool } = this.#context
    if (staysOpen && settings.cache !== undefined) dropPresent(body)
    const complete = staysOpen && body.left === 0 && this.#wire.clean
    if (complete && settings.cache !== undefined) settings.cache.give(pool, this.#key, this.#wire)
    else this.#wire.destroy()
    abortion.remove(this.#wire)
  }
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
  security: tls.ConnectionOptions | undefined,
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
  const timer = secure ? new TlsTimer(port) : undefined
  try {
    const connection = await connect({
      ...common,
      signal: attempt.signal,
      ...(secure ? { tls: tlsOptions(host, security) } : {}),
    })
    const wire = new Wire(connection, performance.now() - began, 0)
    wire.tlsMs = timer?.elapsedMs() ?? 0
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
    timer?.stop()
    abortion.signal.removeEventListener('abort', abort)
  }
}

function tlsOptions(host: string, security: tls.ConnectionOptions | undefined): object {
  return {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...security,
    ALPNProtocols: ['http/1.1'],
  }
}

/** An IPv6 address without its brackets. */
function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}

const tlsIdentities = new WeakMap<object, number>()
let identities = 0

/** Who may share a connection: the same origin, with the same TLS options. */
function keyOf(url: URL, security: tls.ConnectionOptions | undefined): string {
  if (url.protocol === 'http:' || security === undefined) return url.origin
  let identity = tlsIdentities.get(security)
  if (identity === undefined) {
    identity = ++identities
    tlsIdentities.set(security, identity)
  }
  return `${url.origin} ${identity}`
}
