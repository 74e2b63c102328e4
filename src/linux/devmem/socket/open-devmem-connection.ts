/// <reference lib="esnext.disposable" preserve="true" />
/** The connection over a devmem socket: frags of pages and of device memory in, bytes and device memory out. */

import type { Writable } from 'node:stream'
import type {
  Address,
  ByteDestination,
  ConnectionState,
  PipeOptions,
  ReceiveOptions,
  Sendable,
} from '../../../connection.ts'
import { checkInteger, LifetimeError } from '../../../errors.ts'
import {
  aborted,
  errorOf,
  invalid,
  isSendable,
  pipeTo,
  rejectedAtCaller,
} from '../../../net/internal.ts'
import type { Page } from '../../../netmem.ts'
import type { Frag } from '../../../pool/frag.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { type Ifindex, POLLHUP } from '../../sys/index.ts'
import { type BoundMemory, useOf } from './binding-use.ts'
import type { DevmemConnection, DevmemStats } from './devmem-connection.ts'
import type { DevmemConnectionOptions } from './devmem-options.ts'
import { FragReader } from './frag-reader.ts'
import { hostFragsOf } from './host-frags.ts'
import { watchInterface } from './interface-watch.ts'
import type { DevmemIo } from './kernel-io.ts'
import { queueOf } from './queue-of.ts'
import { ReceivedFrags } from './received-frags.ts'
import { SendQueue } from './send-queue.ts'
import { detachedMemory, resetAfterEnd, socketError } from './socket-error.ts'
import { TokenReturns } from './token-returns.ts'

/** Milliseconds that a peer may take to close its side. */
const LINGER_MS = 500
/** Bytes that a peer may send in that time. */
const LINGER_BYTES: number = 2 ** 20

const OPEN: ConnectionState = { kind: 'open' }

/** Implements {@link DevmemConnection} over any {@link DevmemIo}. */
export class OpenDevmemConnection implements DevmemConnection {
  readonly pool: PagePool<Page>
  readonly tls = undefined
  readonly receivers = undefined
  readonly closed: Promise<void>
  readonly #io: DevmemIo
  readonly #bindings: readonly BoundMemory[]
  readonly #sends: SendQueue
  readonly #tokens: TokenReturns
  readonly #reader: FragReader
  readonly #received: ReceivedFrags
  #state: ConnectionState = OPEN
  #resolveClosed = (): void => undefined
  #bytesWritten = 0
  #sentEnd = false
  #ending: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #forget = (): void => undefined

  constructor(io: DevmemIo, options: DevmemConnectionOptions) {
    const { binding, signal } = options
    this.#io = io
    this.pool = options.pool
    this.#bindings = Array.isArray(binding) ? [...binding] : [binding]
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#tokens = new TokenReturns({
      giveBack: (ranges) => this.#giveBack(ranges),
      allBack: () => this.#closeSocket(),
    })
    this.#reader = new FragReader(io, this.#tokens, {
      pool: options.pool,
      uses: this.#bindings.map(useOf),
      strict: options.strict === true,
      label: `tcp ${io.remoteAddress.host}:${io.remoteAddress.port}`,
    })
    this.#sends = new SendQueue(io, {
      fail: (error) => this.#fail(error),
      sentEnd: () => {
        this.#sentEnd = true
        if (this.#state.kind === 'ended') this.#finish({ kind: 'closed' })
      },
      detached: () => this.destroy(detachedMemory()),
    })
    this.#received = new ReceivedFrags(io, this.#reader, options.pool, {
      ended: () => this.#ended(),
      fail: (error) => this.#fail(error),
      reap: () => this.#sends.reap(),
    })
    void this.#watchForFailure()
    if (signal !== undefined) {
      const abort = (): void => this.destroy(aborted(signal.reason))
      signal.addEventListener('abort', abort, { once: true })
      this.#forget = () => signal.removeEventListener('abort', abort)
      if (signal.aborted) abort()
    }
  }

  get localAddress(): Address {
    return this.#io.localAddress
  }

  get remoteAddress(): Address {
    return this.#io.remoteAddress
  }

  get state(): ConnectionState {
    return this.#state
  }

  get bytesRead(): number {
    return this.#reader.linear_bytes + this.#reader.device_bytes
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  receive(options?: ReceiveOptions): Promise<Frag | undefined> {
    return this.#received.receive(options)
  }

  [Symbol.asyncIterator](): AsyncIterator<Frag, undefined, void> {
    return this.#received.iterate()
  }

  write(data: Sendable): Promise<void> {
    if (!isSendable(data)) {
      return Promise.reject(invalid('write() takes a Uint8Array, a string, or an array of them.'))
    }
    const error = this.#sendError()
    if (error !== undefined) return rejectedAtCaller(error)
    const all = typeof data === 'string' || data instanceof Uint8Array ? [data] : data
    const pieces = all
      .map((piece) => (typeof piece === 'string' ? new TextEncoder().encode(piece) : piece))
      .filter((piece) => piece.byteLength > 0)
    for (const piece of pieces) this.#bytesWritten += piece.byteLength
    return this.#sends.write(pieces)
  }

  /** Ends with an interface of this network namespace. Frags that arrived can still be received. */
  endWith(ifindex: Ifindex): void {
    if (this.#isDone) return
    const unwatch = watchInterface(ifindex, (error) => this.#fail(error))
    const forget = this.#forget
    this.#forget = () => {
      forget()
      unwatch()
    }
  }

  /** @internal */
  send(text: string): void {
    if (this.#sendError() === undefined) this.write(text).catch(() => undefined)
  }

  sendDevice(binding: BoundMemory, offset: number, length: number): Promise<void> {
    try {
      const bytes = binding.dmabuf?.bytes ?? Number.MAX_SAFE_INTEGER
      checkInteger('binding.id', binding.id, 1, 2 ** 32 - 1)
      checkInteger('offset', offset, 0, bytes - 1)
      checkInteger('length', length, 1, bytes - offset)
    } catch (error) {
      return Promise.reject(error)
    }
    const error = this.#sendError()
    if (error !== undefined) return rejectedAtCaller(error)
    this.#bytesWritten += length
    return this.#sends.sendDevice(binding, offset, length)
  }

  end(): Promise<void> {
    this.#ending ??= this.#isDone ? rejectedAtCaller(errorOf(this.#state)) : this.#sends.end()
    return this.#ending
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  destroy(reason?: Error): void {
    if (!this.#isDone) {
      // A signal's reason may be anything.
      const error = reason === undefined || reason instanceof Error ? reason : aborted(reason)
      this.#finish(error === undefined ? { kind: 'closed' } : { kind: 'failed', error })
    }
    this.#discard()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  pipeTo(
    destination: Writable | WritableStream<Uint8Array> | ByteDestination,
    options?: PipeOptions,
  ): Promise<number> {
    return pipeTo(hostFragsOf(this), destination, options)
  }

  async queue(): Promise<number | undefined> {
    return this.#isDone ? undefined : queueOf(this.#io.napiId(), this.#bindings)
  }

  flush(): void {
    this.#tokens.flush()
  }

  stats(): DevmemStats {
    const { device_bytes, linear_bytes, device_frags } = this.#reader
    const { out, returned, calls } = this.#tokens
    const { completions, copied } = this.#sends
    return {
      device_bytes,
      linear_bytes,
      device_frags,
      tokens_out: out,
      tokens_returned: returned,
      return_calls: calls,
      completions,
      copied,
    }
  }

  ref(): this {
    this.#io.setReferenced(true)
    return this
  }

  unref(): this {
    this.#io.setReferenced(false)
    return this
  }

  /** True once the connection can neither send nor receive. */
  get #isDone(): boolean {
    return this.#state.kind === 'closed' || this.#state.kind === 'failed'
  }

  #sendError(): Error | undefined {
    if (this.#isDone) return errorOf(this.#state)
    if (!this.#sends.ending) return undefined
    const words = 'end() or close() was called. Write before them.'
    return new LifetimeError('NETMEM_CONNECTION_CLOSED', words)
  }

  /** Watches for completions, and for the end of the connection while no call receives. */
  async #watchForFailure(): Promise<void> {
    while (!this.#isDone) {
      const events = await this.#io.wait('failed').catch(() => 0)
      if (events === 0 || this.#isDone) return
      const hungUp = (events & POLLHUP) !== 0
      if (this.#sends.reap() > 0 && !hungUp) continue
      // Payload that arrived before the failure is read first.
      this.#received.readAll()
      if (this.#reader.dry) {
        // A socket that hung up is always ready. Until a caller takes the bytes there is no more to do.
        await (hungUp ? this.#reader.whenNotDry() : this.pool.whenAvailable())
      }
      // A reset alone hangs up a socket that still sends after the peer's end.
      else if (this.#state.kind === 'ended') this.#fail(resetAfterEnd())
    }
  }

  /** The peer has finished sending. */
  #ended(): void {
    if (this.#state.kind !== 'open') return
    this.#received.end(undefined)
    this.#state = { kind: 'ended' }
    if (this.#sentEnd) this.#finish({ kind: 'closed' })
  }

  #fail(error: Error): void {
    if (!this.#isDone) this.#finish({ kind: 'failed', error })
  }

  /** Ends the connection. Frags that arrived can still be received. */
  #finish(state: ConnectionState): void {
    this.#state = state
    const error = errorOf(state)
    this.#received.end(error)
    this.#forget()
    this.#io.stopWaiting()
    this.#sends.break(error)
    try {
      if (state.kind === 'failed') this.#io.reset()
      else this.#io.shutDown()
    } catch {
      // The peer was faster, and there is no connection to end.
    }
    this.#tokens.flush()
    this.#closeSocket()
    // Resolves after the results of the calls that ended it, as a socket of Node.js closes.
    setImmediate(this.#resolveClosed)
  }

  /** Gives back what was not received. A receiver that waited for a page of it is answered. */
  #discard(): void {
    this.#reader.discard()
    this.#tokens.flush()
    this.#received.serve()
  }

  #giveBack(ranges: Uint32Array): number {
    try {
      return this.#io.giveBack(ranges)
    } catch (error) {
      this.#fail(socketError('giveBack', error))
      return 0
    }
  }

  /** Closes the socket once no frag needs it: its tokens would be freed with it. */
  #closeSocket(): void {
    if (this.#isDone && this.#tokens.out === 0) this.#io.close()
  }

  async #close(): Promise<void> {
    if (!this.#isDone) await this.end().catch(() => undefined)
    // An end of the stream that comes from here on counts as not received.
    this.#received.end(errorOf({ kind: 'closed' }))
    this.#discard()
    if (this.#state.kind === 'open' && this.#bytesWritten > 0) await this.#linger()
    this.destroy()
    await this.closed
  }

  /** Gives the peer a moment to close its side: a socket with unread data ends in a reset. */
  async #linger(): Promise<void> {
    const until = this.bytesRead + LINGER_BYTES
    const timer = setTimeout(() => this.destroy(), LINGER_MS)
    while (this.#state.kind === 'open' && this.bytesRead < until) {
      if (!this.#received.read() && this.#state.kind === 'open') {
        await this.#io.wait('readable').catch(() => 0)
        this.#sends.reap()
      }
    }
    clearTimeout(timer)
  }
}
