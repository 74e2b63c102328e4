/** One connection: frags in, bytes out. */

import { setMaxListeners } from 'node:events'
import type net from 'node:net'
import type { Writable } from 'node:stream'
import type {
  Address,
  ByteDestination,
  ByteReceivers,
  Connection,
  ConnectionState,
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
import { aborted, closed, connectionError } from './connection-error.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { onPeersEnd, type PostedReads, reset } from './driver/posted-reads.ts'
import { watchForReset } from './driver/reset-watch.ts'
import type { SocketDriver } from './driver/socket-driver.ts'
import { unlessMoved } from './receivers/destination-memory.ts'
import { pipeTo } from './receivers/pipe.ts'
import { byteLengthOf, isSendable, writeTo } from './vectored-write.ts'

/**
 * A connection that receives into the pages of a pool. Made by `connect`, `listen` or `adopt`.
 *
 * Iterating yields what arrives as frags, which the application releases. Leaving the loop does
 * not close the connection; `await using` or `close()` does. One receiver at a time.
 *
 * @example
 * ```ts
 * for await (const frag of connection) {
 *   console.log(frag.bytes.length)
 *   frag.release()
 * }
 * ```
 */
export class SocketConnection implements Connection {
  /** The pool that received data goes to. */
  readonly pool: PagePool<Page>
  /** The TLS session; `undefined` on a plain connection. */
  readonly tls: TlsInfo | undefined
  readonly localAddress: Address
  readonly remoteAddress: Address
  readonly #driver: SocketDriver
  readonly #socket: net.Socket
  readonly #closed: Promise<void>
  #state: ConnectionState = { kind: 'open' }
  /** Why it broke, or was destroyed. */
  #failure: Error | undefined
  #hasSent: boolean
  #bytesWritten = 0
  #ending: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(
    driver: SocketDriver,
    reads: PostedReads,
    options: ConnectionOptions,
    known: KnownOfSocket = {},
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
      this.#failure ??= driver.explain(error) ?? connectionError(error)
      this.#state = { kind: 'failed', error: this.#failure }
      // A TLS server's sockets complain and go on.
      socket.destroy()
    })
    let peerEnded = false
    socket.once('end', () => {
      peerEnded = true
    })
    onPeersEnd(socket, () => {
      if (socket.destroyed) return
      if (this.#state.kind === 'open') this.#state = { kind: 'ended' }
      driver.end(undefined)
    })
    const { signal } = options
    const abort = (): void => this.destroy(aborted(signal?.reason))
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        signal?.removeEventListener('abort', abort)
        const error = this.#failure
        if (error !== undefined) this.#state = { kind: 'failed', error }
        else this.#state = { kind: 'closed' }
        driver.end(error ?? (peerEnded ? undefined : closed()))
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

  /**
   * The next frag; `undefined` once the peer has finished sending. Reads ahead by 64 KiB at most, or by a page if that is less, and one read more.
   * Rejects with NETMEM_CONNECTION_RESET, NETMEM_CONNECTION_FAILED, NETMEM_TLS, NETMEM_TIMEOUT or
   * NETMEM_POOL_DESTROYED after all data that arrived before, with NETMEM_CONNECTION_CLOSED or
   * NETMEM_ABORTED at once; and with NETMEM_BUSY while another call waits.
   * @param options - `signal` gives up the wait with NETMEM_ABORTED. Nothing is lost: the connection stays open, and the next call gets what arrives.
   */
  receive(options?: ReceiveOptions): Promise<HostFrag | undefined> {
    // Nothing to check is the hot path.
    return options === undefined ? this.#driver.frags.receive() : this.#receive(options)
  }

  /** Payload bytes that have arrived so far, those that nobody has taken yet included; without TLS's own. */
  get bytesRead(): number {
    return this.#driver.bytesRead
  }

  /** Payload bytes given to {@link write} so far, those that are not sent yet included; without TLS's own. */
  get bytesWritten(): number {
    return this.#bytesWritten
  }

  /** Iterates over {@link receive}. */
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

  /**
   * Sends bytes, or several pieces in one system call; resolves when they may be used again and
   * more may be written. Until then their memory must stay where it is: transferring or shrinking it
   * destroys the connection, and the call rejects with NETMEM_DESTINATION_DETACHED. Rejects with the
   * codes of {@link receive}, with NETMEM_CONNECTION_CLOSED after {@link end} too, and with
   * NETMEM_INVALID_ARGUMENT.
   *
   * @example
   * ```ts
   * const header = new Uint8Array(4)
   * const payload = new TextEncoder().encode('hello')
   * new DataView(header.buffer).setUint32(0, payload.length)
   * await connection.write([header, payload])
   * ```
   */
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
          'end() or close() was called; write before them.',
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

  /**
   * @internal Sends ASCII, and leaves it to whoever receives to notice that it failed: without the
   * promise of {@link write}, which costs a request as much as its serialising.
   */
  send(text: string): void {
    // What is destroyed has told whoever receives, and what is ended has nothing to receive.
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#hasSent = true
    this.#bytesWritten += text.length
    this.#socket.write(text, 'latin1')
  }

  /** Finishes sending, after all writes; receiving goes on. Resolves when the peer has been told. */
  end(): Promise<void> {
    const socket = this.#socket
    // Node.js calls nothing back for a socket that was destroyed before.
    this.#ending ??= socket.destroyed
      ? Promise.reject(this.#reason())
      : this.#sent((done) => socket.end(done))
    return this.#ending
  }

  /**
   * Ends the connection: sends what was written, gives back what nobody has received, and
   * resolves when the socket is closed. Frags that the application holds stay valid. It waits for
   * a peer that does not read as long as that takes, which `idleTimeoutMs` or {@link destroy} end,
   * and half a second for one that does not close its side when all is sent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /**
   * Ends the connection at once: unsent writes are lost, and whoever waits gets `reason`. With a
   * reason, a TCP peer gets a reset, so that it does not take the end for a good one.
   */
  destroy(reason?: Error): void {
    if (!this.#socket.destroyed) {
      // A signal's reason may be anything.
      const error = reason === undefined || reason instanceof Error ? reason : aborted(reason)
      this.#failure ??= error
      this.#state =
        error === undefined ? { kind: 'closed' } : { kind: 'failed', error: this.#failure ?? error }
      if (error === undefined || !reset(this.#socket)) this.#socket.destroy(error)
    }
    this.#driver.frags.discard()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Whether it is open, and how it ended. */
  get state(): ConnectionState {
    return this.#state
  }

  /**
   * Resolves when the socket is closed, in whichever way; {@link state} says which. Linux tells of a
   * TCP or TLS peer's reset within about a second also while nobody receives, if the pool has memory
   * for what came before it. A Unix socket's reset, and other systems', take a call that receives.
   */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** Writes all that arrives to a stream or to another connection: see {@link pipeTo}. */
  pipeTo(
    destination: Writable | WritableStream<Uint8Array> | ByteDestination,
    options?: PipeOptions,
  ): Promise<number> {
    return pipeTo(this, destination, options)
  }

  /** Keeps the process alive while open, also while it waits for memory of the pool: the default. */
  ref(): this {
    this.#socket.ref()
    this.#driver.frags.fill.referenced = true
    return this
  }

  /** Lets the process end although it is open. */
  unref(): this {
    this.#socket.unref()
    this.#driver.frags.fill.referenced = false
    return this
  }

  /** @internal */
  get receivers(): ByteReceivers {
    return this.#driver
  }

  async #receive(options: ReceiveOptions): Promise<HostFrag | undefined> {
    const { signal } = ownOptions('receive()', options, { signal: true })
    checkSignal(signal)
    if (signal?.aborted) throw aborted(signal.reason)
    return this.#driver.frags.receive(signal)
  }

  #sent(send: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      send((error) => {
        // Node.js says of a write that was broken off with its socket that it went well.
        if (this.#socket.destroyed) reject(this.#reason())
        else if (error === null || error === undefined) resolve()
        else reject(connectionError(error))
      })
    })
  }

  /** Why it is destroyed. */
  #reason(): Error {
    if (this.#failure !== undefined) return this.#failure
    const { errored } = this.#socket
    // Of a write that it breaks off, Node.js 24 makes an error of its own.
    return errored === null || this.#state.kind === 'closed' ? closed() : connectionError(errored)
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
    if (!socket.destroyed && this.#state.kind === 'open' && this.#hasSent) await this.#linger()
    this.destroy()
    await this.#closed
  }

  /**
   * A socket that is closed with something unread, a TLS session ticket for one, ends in a reset, and
   * the kernel drops what it has not transmitted (Linux, tcp_close, unix_release_sock). So the peer
   * has a moment to say that it is done, too.
   */
  #linger(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(done, LINGER_MS)
      this.#socket.once('end', done).once('close', done)
      this.#driver.drain(closed(), LINGER_BYTES, done)
    })
  }
}

/** Label of a connection in reports, such as `tls 192.0.2.1:443` or `unix /run/a.sock`. */
function labelOf({ host, port }: Address, secure: boolean): string {
  if (port === 0) return `unix ${host}`
  return `${secure ? 'tls' : 'tcp'} ${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** How long a peer may take to close its side, and how much it may send meanwhile. */
const LINGER_MS = 500
const LINGER_BYTES = 1024 * 1024

/** What the socket itself cannot say, or not any more. */
interface KnownOfSocket {
  readonly tls?: TlsInfo | undefined
  readonly localPath?: string | undefined
  readonly remotePath?: string | undefined
}
