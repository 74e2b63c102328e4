/** One connection: frags in, bytes out. */

import type net from 'node:net'
import type { Writable } from 'node:stream'
import tls from 'node:tls'
import { ConnectionError, checkInteger, LifetimeError } from '../errors.ts'
import type { Page } from '../netmem.ts'
import { type HostFrag, RX_COPYBREAK } from '../pool/frag.ts'
import type { PagePool } from '../pool/page-pool.ts'
import { aborted, closed, connectionError } from './connection-error.ts'
import { type PipeOptions, pipeTo } from './pipe.ts'
import { canPost, type PostedReads } from './posted-reads.ts'
import { SocketDriver } from './socket-driver.ts'

/** What every connection can be told. */
export interface ConnectionOptions {
  /** Where received data goes. */
  readonly pool: PagePool<Page>
  /**
   * Bytes of the buffer that an idle connection has posted in place of a page: 2 KiB to 16 KiB,
   * the default. Shorter reads are copied out of it.
   */
  readonly smallBufferBytes?: number
  /** Destroys the connection when aborted. */
  readonly signal?: AbortSignal
  /** Destroys the connection when nothing moved in either direction for so long: 1 to 2^31 − 1. */
  readonly idleTimeoutMs?: number
  /** Sends small writes at once: on by default. */
  readonly noDelay?: boolean
  /** Sends a probe after so many idle milliseconds; 0 or absent: none. */
  readonly keepAliveMs?: number
  /** `data` copies Node's Buffers into pages even where this Node.js could do without: for comparison and as a way out. */
  readonly reads?: 'posted' | 'data'
}

/** A TCP address, or a Unix socket's path. */
export interface Address {
  readonly host: string
  /** 0 for a Unix domain socket. */
  readonly port: number
}

/** What is known of the TLS session. */
export interface TlsInfo {
  readonly protocol: string | null
  readonly cipher: string
  readonly alpnProtocol: string | undefined
  /** Whether the peer's certificate was verified; `authorizationError` says why not. */
  readonly authorized: boolean
  readonly authorizationError: string | undefined
  readonly peerCertificate: tls.PeerCertificate
}

/** How a connection stands: `open`, or how it ended. */
export type ConnectionState =
  | { readonly kind: 'open' }
  /** The peer has finished sending; writing may go on. */
  | { readonly kind: 'ended' }
  /** Both sides are done, or this side closed it. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly error: Error }

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
export class Connection implements AsyncIterable<HostFrag>, AsyncDisposable {
  /** The pool that received data goes to. */
  readonly pool: PagePool<Page>
  readonly #driver: SocketDriver
  readonly #socket: net.Socket
  readonly #secure: tls.TLSSocket | undefined
  readonly #ended: Promise<void>
  #state: ConnectionState = { kind: 'open' }
  #closing: Promise<void> | undefined
  #local: Address
  #remote: Address

  /** @internal */
  constructor(
    driver: SocketDriver,
    reads: PostedReads,
    options: ConnectionOptions,
    secure?: tls.TLSSocket,
  ) {
    const { socket } = reads
    this.pool = options.pool
    this.#driver = driver
    this.#socket = socket
    this.#secure = secure ?? (socket instanceof tls.TLSSocket ? socket : undefined)
    this.#local = { host: socket.localAddress ?? '', port: socket.localPort ?? 0 }
    this.#remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    const { signal, idleTimeoutMs } = options
    let failure: Error | undefined
    socket.on('error', (error) => {
      failure ??= connectionError(error)
    })
    socket.once('end', () => {
      if (this.#state.kind === 'open') this.#state = { kind: 'ended' }
      driver.end(undefined)
    })
    const abort = (): void => void socket.destroy(aborted(signal?.reason))
    this.#ended = new Promise((resolve) => {
      socket.once('close', () => {
        signal?.removeEventListener('abort', abort)
        if (this.#state.kind !== 'closed') {
          this.#state =
            failure === undefined ? { kind: 'closed' } : { kind: 'failed', error: failure }
        }
        driver.end(failure ?? closed())
        resolve()
      })
    })
    if (idleTimeoutMs !== undefined) {
      socket.setTimeout(checkInteger('idleTimeoutMs', idleTimeoutMs, 1, 2 ** 31 - 1), () =>
        socket.destroy(
          new ConnectionError(
            'NETMEM_TIMEOUT',
            `Nothing was received or sent for ${idleTimeoutMs} ms.`,
          ),
        ),
      )
    }
    socket.setNoDelay(options.noDelay ?? true)
    if (options.keepAliveMs) socket.setKeepAlive(true, options.keepAliveMs)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
    driver.start(reads)
  }

  /**
   * The next frag; `undefined` once the peer has finished sending. Reads ahead by a page at most.
   * Rejects with NETMEM_CONNECTION_RESET, NETMEM_CONNECTION_FAILED, NETMEM_CONNECTION_CLOSED,
   * NETMEM_TLS, NETMEM_TIMEOUT, NETMEM_ABORTED or NETMEM_POOL_DESTROYED, after all data that
   * arrived before; and with NETMEM_BUSY while another call waits.
   */
  receive(): Promise<HostFrag | undefined> {
    return this.#driver.receive()
  }

  /** Iterates over {@link receive}. */
  [Symbol.asyncIterator](): AsyncIterator<HostFrag, undefined, void> {
    const driver = this.#driver
    return {
      next: async () => {
        const value = await driver.receive()
        return value === undefined ? { done: true, value } : { done: false, value }
      },
      return: () => {
        driver.stopStreaming()
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  /**
   * Sends bytes; resolves when they may be used again and more may be written. Rejects with the
   * codes of {@link receive}.
   */
  write(bytes: Uint8Array | string): Promise<void> {
    return this.#sent((done) => this.#socket.write(bytes, done))
  }

  /** Finishes sending, after all writes; receiving goes on. Resolves when the peer has been told. */
  end(): Promise<void> {
    return this.#sent((done) => this.#socket.end(done))
  }

  /**
   * Ends the connection: sends what was written, gives back what nobody has received, and
   * resolves when the socket is closed. Frags that the application holds stay valid.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Ends the connection at once: unsent writes are lost, and whoever waits gets `reason`. */
  destroy(reason?: Error): void {
    if (reason === undefined) this.#closedByUs()
    this.#socket.destroy(reason)
    this.#driver.discard()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Whether it is open, and how it ended. */
  get state(): ConnectionState {
    return this.#state
  }

  /** Resolves when the socket is closed, in whichever way; {@link state} says which. */
  get closed(): Promise<void> {
    return this.#ended
  }

  get localAddress(): Address {
    return this.#local
  }

  get remoteAddress(): Address {
    return this.#remote
  }

  /** The TLS session; `undefined` on a plain connection. */
  get tls(): TlsInfo | undefined {
    const socket = this.#secure
    if (socket === undefined) return undefined
    return {
      protocol: socket.getProtocol(),
      cipher: socket.getCipher().name,
      alpnProtocol: socket.alpnProtocol || undefined,
      authorized: socket.authorized,
      authorizationError:
        socket.authorizationError === undefined || socket.authorizationError === null
          ? undefined
          : String(socket.authorizationError),
      peerCertificate: socket.getPeerCertificate(),
    }
  }

  /** Writes all that arrives to a stream: see {@link pipeTo}. */
  pipeTo(
    destination: Writable | WritableStream<Uint8Array>,
    options?: PipeOptions,
  ): Promise<number> {
    return pipeTo(this, destination, options)
  }

  /** Keeps the process alive while open: the default. */
  ref(): this {
    this.#socket.ref()
    return this
  }

  /** Lets the process end although it is open. */
  unref(): this {
    this.#socket.unref()
    return this
  }

  /** @internal */
  get driver(): SocketDriver {
    return this.#driver
  }

  #sent(send: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      send((error) => {
        if (error === null || error === undefined) resolve()
        else reject(this.#state.kind === 'failed' ? this.#state.error : connectionError(error))
      })
    })
  }

  #closedByUs(): void {
    if (this.#state.kind !== 'failed') this.#state = { kind: 'closed' }
  }

  async #close(): Promise<void> {
    this.#closedByUs()
    const socket = this.#socket
    if (!socket.destroyed && socket.writable) {
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve())
        socket.end(() => resolve())
      })
    }
    socket.destroy()
    await this.#ended
    this.#driver.discard()
  }
}

/** A whole TLS record (RFC 8446, 5.1): a read of this size says that more is to come. */
const TLS_RECORD = 16 * 1024

/** @internal The driver of a new connection. */
export function makeDriver(options: ConnectionOptions, secure: boolean): SocketDriver {
  const smallBytes = checkInteger(
    'smallBufferBytes',
    options.smallBufferBytes ?? RX_COPYBREAK,
    2048,
    RX_COPYBREAK,
  )
  if (options.pool.destroyed) {
    throw new LifetimeError('NETMEM_POOL_DESTROYED', 'The pool is destroyed; make another one.')
  }
  return new SocketDriver(options.pool, smallBytes, secure ? TLS_RECORD : Number.POSITIVE_INFINITY)
}

/** @internal Whether `data` events are to be copied. */
export function copies(options: ConnectionOptions): boolean {
  return options.reads === 'data' || !canPost()
}
