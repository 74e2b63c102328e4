/** The connection over a kernel socket: frags in, bytes out. */

import { setMaxListeners } from 'node:events'
import type net from 'node:net'
import type { Writable } from 'node:stream'
import type {
  Address,
  ByteDestination,
  Connection,
  ConnectionState,
  HostReceivers,
  PipeOptions,
  ReceiveOptions,
  Sendable,
  TlsInfo,
} from '../connection.ts'
import { ConnectionError, LifetimeError, ownOptions } from '../errors.ts'
import type { Page } from '../netmem.ts'
import type { HostFrag } from '../pool/frag.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { checkSignal, invalid } from './arguments.ts'
import { aborted, connectionClosed, connectionError } from './connection-error.ts'
import type { ConnectionOptions } from './connection-options.ts'
import {
  endOf,
  errorOf,
  isOver,
  next,
  type SocketEvent,
  type SocketState,
} from './connection-state.ts'
import { onPeersEnd, type PostedReads, reset } from './driver/posted-reads.ts'
import { watchForReset } from './driver/reset-watch.ts'
import type { SocketDriver } from './driver/socket-driver.ts'
import { unlessMoved } from './receivers/destination-memory.ts'
import { pipeTo } from './receivers/pipe.ts'
import { rejectedAtCaller } from './rejected-at-caller.ts'
import { byteLengthOf, isSendable, writeTo } from './vectored-write.ts'

/** Milliseconds that a peer may take to close its side, and bytes that it may send until then. */
const LINGER_MS = 500
const LINGER_BYTES = 1024 * 1024

const OPEN: ConnectionState = { kind: 'open' }

/** Facts that the socket itself cannot tell, or not any more. */
interface SocketFacts {
  readonly tls?: TlsInfo | undefined
  readonly localPath?: string | undefined
  readonly remotePath?: string | undefined
}

/** Implements {@link Connection}. Made by `connect`, `listen` and `adopt`. */
export class SocketConnection implements Connection {
  readonly pool: PagePool<Page>
  readonly tls: TlsInfo | undefined
  readonly localAddress: Address
  readonly remoteAddress: Address
  readonly closed: Promise<void>
  readonly #driver: SocketDriver
  readonly #socket: net.Socket
  #state: SocketState = OPEN
  #hasSent: boolean
  #bytesWritten = 0
  /** Results of {@link end} and {@link close}, which later calls get, too. */
  #ending: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(
    driver: SocketDriver,
    reads: PostedReads,
    options: ConnectionOptions,
    known: SocketFacts = {},
  ) {
    const { socket } = reads
    this.pool = options.pool
    this.tls = known.tls
    this.#hasSent = known.tls !== undefined
    this.#driver = driver
    this.#socket = socket
    const { localAddress, localPort, remoteAddress, remotePort } = socket
    this.localAddress = { host: localAddress ?? known.localPath ?? '', port: localPort ?? 0 }
    this.remoteAddress = { host: remoteAddress ?? known.remotePath ?? '', port: remotePort ?? 0 }
    driver.frags.label = labelOf(this.remoteAddress, known.tls !== undefined)
    socket.on('error', (error) => {
      this.#failed(error)
      // A TLS server's sockets report an error and stay open.
      socket.destroy()
    })
    socket.once('end', () => this.#advance({ kind: 'endRead' }))
    onPeersEnd(socket, () => {
      if (!socket.destroyed) this.#advance({ kind: 'peerEnded' })
    })
    const { signal } = options
    const abort = (): void => this.destroy(aborted(signal?.reason))
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        signal?.removeEventListener('abort', abort)
        // Both sides had ended, and the socket was closed for that.
        if (this.#state.kind === 'ending') this.#advance({ kind: 'peerEnded' })
        this.#advance({ kind: 'closed' })
        resolve()
      })
    })
    watchForReset(socket, driver)
    this.#configure(options)
    // Many connections may share a signal, which is no leak.
    if (signal !== undefined) setMaxListeners(0, signal)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  }

  get state(): ConnectionState {
    this.#notice()
    return this.#state.kind === 'ending' ? OPEN : this.#state
  }

  get bytesRead(): number {
    return this.#driver.bytesRead
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  get receivers(): HostReceivers {
    return this.#driver
  }

  receive(options?: ReceiveOptions): Promise<HostFrag | undefined> {
    // Hot path: a call without options needs no check.
    return options === undefined ? this.#driver.frags.receive() : this.#receive(options)
  }

  [Symbol.asyncIterator](): AsyncIterator<HostFrag, undefined, void> {
    const { frags } = this.#driver
    return {
      next() {
        return frags.next(this)
      },
      return() {
        frags.stopWaiting(this)
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  write(data: Sendable): Promise<void> {
    if (!isSendable(data)) {
      return Promise.reject(invalid('write() takes a Uint8Array, a string, or an array of them.'))
    }
    if (this.#socket.destroyed) return Promise.reject(this.#reason())
    // Node.js would destroy the connection for it.
    if (this.#socket.writableEnded) {
      return Promise.reject(
        new LifetimeError(
          'NETMEM_CONNECTION_CLOSED',
          'end() or close() was called. Write before them.',
        ),
      )
    }
    this.#hasSent = true
    // The caller's array may change once this has returned.
    const own = typeof data === 'string' || data instanceof Uint8Array ? data : [...data]
    const length = byteLengthOf(own)
    this.#bytesWritten += length
    const sent = this.#sent((done) => writeTo(this.#socket, own, done))
    if (typeof own === 'string' || this.#socket.writableLength === 0) return sent
    return unlessMoved(
      // Memory that has grown is still where it was.
      () => byteLengthOf(own) < length,
      sent,
      (error) => this.destroy(error),
    )
  }

  send(text: string): void {
    // A destroyed socket has notified the receiver, and an ended one has no more bytes.
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#hasSent = true
    this.#bytesWritten += text.length
    this.#socket.write(text, 'latin1')
  }

  end(): Promise<void> {
    const socket = this.#socket
    // Node.js does not call back for a socket that was destroyed before.
    this.#ending ??= socket.destroyed
      ? Promise.reject(this.#reason())
      : this.#sent((done) => socket.end(done))
    return this.#ending
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  destroy(reason?: Error): void {
    const socket = this.#socket
    if (!socket.destroyed) {
      // A signal's reason may be anything.
      const error = reason === undefined || reason instanceof Error ? reason : aborted(reason)
      this.#state = next(this.#state, error ? { kind: 'failed', error } : { kind: 'closed' })
      if (error === undefined || !reset(socket)) socket.destroy(error)
    }
    this.#driver.frags.discard()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  pipeTo(
    destination: Writable | WritableStream<Uint8Array> | ByteDestination,
    options?: PipeOptions,
  ): Promise<number> {
    return pipeTo(this, destination, options)
  }

  ref(): this {
    this.#socket.ref()
    this.#driver.frags.fill.keepAlive(true)
    return this
  }

  unref(): this {
    this.#socket.unref()
    this.#driver.frags.fill.keepAlive(false)
    return this
  }

  #advance(event: SocketEvent): void {
    this.#state = next(this.#state, event)
    if (isOver(this.#state)) this.#driver.end(endOf(this.#state))
  }

  #failed(error: Error): void {
    if (this.#state.kind === 'failed' || this.#state.kind === 'closed') return
    const reason = this.#driver.explain(error) ?? connectionError(error)
    this.#state = next(this.#state, { kind: 'failed', error: reason })
  }

  /** Notices a failure of the socket before its event. */
  #notice(): void {
    const { errored } = this.#socket
    if (errored !== null) this.#failed(errored)
  }

  /** Error of a call on the destroyed socket. */
  #reason(): Error {
    this.#notice()
    return errorOf(this.#state)
  }

  async #receive(options: ReceiveOptions): Promise<HostFrag | undefined> {
    const { signal } = ownOptions('receive()', options, { signal: true })
    checkSignal(signal)
    const { frags } = this.#driver
    if (signal === undefined) return frags.receive()
    if (signal.aborted) throw aborted(signal.reason)
    const giveUp = (): void => frags.stopWaiting(signal, aborted(signal.reason))
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await frags.receive(signal)
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  #sent(send: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve) => {
      send((error) => {
        // Node.js reports success for a write that was broken off with its socket.
        if (this.#socket.destroyed) resolve(rejectedAtCaller(this.#reason()))
        else if (error === null || error === undefined) resolve()
        else resolve(rejectedAtCaller(connectionError(error)))
      })
    })
  }

  #configure({ idleTimeoutMs, noDelay, keepAliveMs = 0 }: ConnectionOptions): void {
    const socket = this.#socket
    if (idleTimeoutMs !== undefined) {
      const message = `Nothing was received or sent for ${idleTimeoutMs} ms.`
      socket.setTimeout(idleTimeoutMs, () => {
        socket.destroy(new ConnectionError('NETMEM_TIMEOUT', message))
      })
    }
    socket.setNoDelay(noDelay ?? true)
    if (keepAliveMs > 0) socket.setKeepAlive(true, Math.max(1000, keepAliveMs))
  }

  async #close(): Promise<void> {
    const socket = this.#socket
    if (!socket.destroyed && !socket.writableFinished) {
      await new Promise<void>((resolve) => {
        const done = (): void => resolve()
        socket.once('close', done)
        this.end().then(done, done)
      })
    }
    if (!socket.destroyed && !isOver(this.#state) && this.#hasSent) await this.#linger()
    this.destroy()
    await this.closed
  }

  /**
   * Gives the peer a moment to close its side. A socket that is closed with unread data, such as a
   * TLS session ticket, ends in a reset, and the kernel drops what it has not transmitted (Linux,
   * tcp_close, unix_release_sock).
   */
  #linger(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(done, LINGER_MS)
      let bytesLeft = LINGER_BYTES
      const drop = ({ byteLength }: Uint8Array): number => {
        bytesLeft -= byteLength
        if (bytesLeft <= 0) done()
        return byteLength
      }
      this.#socket.once('end', done).once('close', done)
      this.#driver.drain(connectionClosed(), { view: drop, viewEnded: () => {} })
    })
  }
}

/** Label of a connection in reports, such as `tls 192.0.2.1:443` or `unix /run/a.sock`. */
function labelOf({ host, port }: Address, secure: boolean): string {
  if (port === 0) return `unix ${host}`
  return `${secure ? 'tls' : 'tcp'} ${host.includes(':') ? `[${host}]` : host}:${port}`
}
