/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The connection that every transport gives an application: kernel sockets, and any other
 * source of a stream of bytes. Types only: `netmem/net` has the implementation over
 * kernel sockets, `netmem/testing` the suite that every implementation passes.
 */

import type { Writable } from 'node:stream'
import type tls from 'node:tls'
import type { Page } from './netmem.ts'
import type { Frag, HostFrag } from './pool/frag.ts'
import type { PagePool } from './pool/page-pool.ts'

declare module './errors.ts' {
  interface ErrorCodes {
    NETMEM_CONNECT_FAILED: 'ConnectionError'
    NETMEM_LISTEN_FAILED: 'ConnectionError'
    NETMEM_CONNECTION_RESET: 'ConnectionError'
    NETMEM_CONNECTION_FAILED: 'ConnectionError'
    NETMEM_ENDED_EARLY: 'ConnectionError'
    NETMEM_ABORTED: 'ConnectionError'
    NETMEM_TIMEOUT: 'ConnectionError'
    NETMEM_TLS: 'ConnectionError'
    NETMEM_CONNECTION_CLOSED: 'LifetimeError'
    NETMEM_BUSY: 'LifetimeError'
  }
}

/** Options of {@link Connection.receive}. */
export interface ReceiveOptions {
  /** Gives up the wait when aborted, and leaves the connection as it is. */
  readonly signal?: AbortSignal
}

/** A TCP address, or a Unix socket's path. */
export interface Address {
  /** Name or path, empty where there is none, as at the connecting end of a Unix socket. */
  readonly host: string
  /** TCP port, 0 for a Unix socket. */
  readonly port: number
}

/** State of a connection: `open`, or how it ended. */
export type ConnectionState =
  | { readonly kind: 'open' }
  /** The peer has finished sending. This side may still write. */
  | { readonly kind: 'ended' }
  /** Both sides are done, or this side closed it. */
  | { readonly kind: 'closed' }
  /** The connection broke, or was destroyed with a reason. */
  | {
      readonly kind: 'failed'
      /** Reason of the failure, which receivers get. */
      readonly error: Error
    }

/** Data that {@link Connection.write} takes: bytes, UTF-8 text, or several pieces in their order. */
export type Sendable = Uint8Array | string | readonly (Uint8Array | string)[]

/** Takes bytes in their order, one write at a time. A {@link Connection} is one. */
export interface ByteDestination {
  /** Resolves when `bytes` may be used again. */
  write(bytes: Uint8Array): Promise<void>
  /** Says that no more bytes follow. */
  end(): Promise<void>
  /** Ends it at once. With a reason, its peer sees an error instead of a proper end. */
  destroy(reason?: Error): void
  /** Resolves when the destination is closed, for any reason. */
  readonly closed: Promise<void>
}

/** Options of `pipeTo`. */
export interface PipeOptions {
  /**
   * Passes the pool's memory itself to a destination that may keep it after its write has
   * completed. Only safe for a destination that does not.
   */
  readonly borrow?: boolean
  /** Does not end the destination at the end of the source. */
  readonly preventClose?: boolean
  /** Stops when aborted. The destination is destroyed. */
  readonly signal?: AbortSignal
}

/** Facts about a TLS session. */
export interface TlsInfo {
  /** Version, such as `TLSv1.3`. `null` if the session has none. */
  readonly protocol: string | null
  /** Name of the cipher, such as `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
  /** Protocol chosen by ALPN. `undefined` without one. */
  readonly alpnProtocol: string | undefined
  /** True if the peer's certificate was verified. `authorizationError` says why not. */
  readonly authorized: boolean
  /** Reason why the certificate was not verified. `undefined` if it was, or if none was asked for. */
  readonly authorizationError: string | undefined
  /** Milliseconds that the handshake took, at the end that connected, 0 at the other. */
  readonly handshakeMs: number
  /** Certificate of the peer. An object without properties if the peer showed none. */
  readonly peerCertificate: tls.PeerCertificate
}

/** Looks at bytes where they arrived, before a frag is made of them. Its methods may not throw. */
export interface Viewer {
  /**
   * Called with 1 or more bytes, which are valid during the call only. Returns the number of bytes
   * taken, 0 to all of them. If some are left, they and all that follows become frags.
   */
  view(bytes: Uint8Array): number
  /** Called once, when no more will arrive. `error` is absent if the peer has finished sending. */
  viewEnded(error: Error | undefined): void
}

/** Options of {@link HostReceivers.fill}. */
export interface FillOptions {
  /** Resolves with 0 instead of failing if the stream ends before the first byte. */
  readonly mayEnd?: boolean
  /** Called with the bytes that have arrived, after each read. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/**
 * Ways besides {@link Connection.receive} to receive into host memory: `receiveInto`,
 * `readMessages` and the HTTP client are built on them. One receives at a time.
 *
 * @example
 * ```ts
 * // Looks at the first bytes without a frag, then receives the rest frag by frag.
 * connection.receivers.show({
 *   view: (bytes) => {
 *     console.log(bytes[0])
 *     return 1
 *   },
 *   viewEnded: (error) => console.log('ended before the first byte', error),
 * })
 * ```
 */
export interface HostReceivers {
  /**
   * Receives exactly `view.byteLength` bytes into `view`, which must stay in place until then.
   * Resolves with that number.
   *
   * @throws NETMEM_ENDED_EARLY if the peer finishes sending before.
   * @throws NETMEM_DESTINATION_DETACHED if the memory was transferred or shrunk.
   * @throws NETMEM_BUSY, NETMEM_INVALID_ARGUMENT, and the codes of {@link Connection.receive}.
   */
  fill(view: Uint8Array, options?: FillOptions): Promise<number>
  /**
   * Shows all that arrives to `viewer`, in place of an earlier one, until {@link hide} or until the
   * viewer leaves bytes.
   *
   * @throws NETMEM_BUSY while another receiver waits, or NETMEM_INVALID_ARGUMENT.
   */
  show(viewer: Viewer): void
  /** Ends {@link show}: what arrives from now on becomes frags. */
  hide(): void
  /** Takes a frag that has arrived, or `undefined` where `receive` would wait or report the end. */
  takeArrived(): HostFrag | undefined
  /**
   * Makes a frag of a copy of `bytes`: 1 byte to a page of the pool.
   *
   * @throws NETMEM_OUT_OF_RANGE for none or more.
   */
  fragOf(bytes: Uint8Array): HostFrag
}

/**
 * A stream of bytes in both directions. Received payload comes as frags of type `F`, which the
 * application releases. One receiver at a time: a second one gets NETMEM_BUSY.
 *
 * Leaving a loop over the connection does not close it. `close()` and `await using` do.
 *
 * @example
 * ```ts
 * for await (const frag of connection) {
 *   console.log(frag.bytes.length)
 *   frag.release()
 * }
 * ```
 */
export interface Connection<F extends Frag = HostFrag> extends AsyncIterable<F>, AsyncDisposable {
  /** Pool that received pages come from, or `undefined` where payload is device memory. */
  readonly pool: F extends HostFrag ? PagePool<Page> : undefined
  /** The TLS session. `undefined` on a plain connection. */
  readonly tls: TlsInfo | undefined
  /** Address of this end. */
  readonly localAddress: Address
  /** Address of the peer. */
  readonly remoteAddress: Address
  /** State of the connection, and how it ended. */
  readonly state: ConnectionState
  /**
   * Resolves when the connection is closed, for any reason. {@link state} says which. Linux reports
   * the reset of a TCP or TLS peer within about a second even while nothing is received, if the
   * pool has memory for the data before it. Elsewhere, and on Unix sockets, only receiving finds a
   * reset.
   */
  readonly closed: Promise<void>
  /** Payload bytes that have arrived so far, received by the application or not. */
  readonly bytesRead: number
  /** Payload bytes given to {@link write} so far, sent or not. */
  readonly bytesWritten: number

  /**
   * Receives the next frag. Resolves with `undefined` once the peer has finished sending. Reads
   * ahead by the smaller of 64 KiB and one page, and one read more.
   *
   * @param options - `signal` gives up the wait with NETMEM_ABORTED. Nothing is lost: the next call
   *   gets the frag.
   * @throws NETMEM_BUSY while another receiver waits.
   * @throws NETMEM_CONNECTION_RESET, NETMEM_CONNECTION_FAILED, NETMEM_TLS, NETMEM_TIMEOUT or
   *   NETMEM_POOL_DESTROYED after all data that arrived before the failure.
   * @throws NETMEM_CONNECTION_CLOSED or NETMEM_ABORTED at once when this side closed it before the
   *   end of the stream arrived. After that end, the call resolves with `undefined`.
   */
  receive(options?: ReceiveOptions): Promise<F | undefined>
  /** Other ways to receive. `undefined` where payload is device memory. */
  readonly receivers: F extends HostFrag ? HostReceivers : undefined
  /** Iterates over {@link receive}. */
  [Symbol.asyncIterator](): AsyncIterator<F, undefined, void>

  /**
   * Sends bytes, text, or several pieces in one system call. Resolves when the memory may be used
   * again and more may be written. Until then the memory must stay in place.
   *
   * @throws NETMEM_DESTINATION_DETACHED if the memory was transferred or shrunk before. The
   *   connection is destroyed.
   * @throws NETMEM_CONNECTION_CLOSED after {@link end} or {@link close}.
   * @throws NETMEM_INVALID_ARGUMENT for other data, and the codes of {@link receive}.
   *
   * @example
   * ```ts
   * const header = new Uint8Array(4)
   * const payload = new TextEncoder().encode('hello')
   * new DataView(header.buffer).setUint32(0, payload.length)
   * await connection.write([header, payload])
   * ```
   */
  write(data: Sendable): Promise<void>
  /**
   * Sends ASCII text without a promise: a failure is reported to the receiver alone. {@link write}
   * takes all other text.
   */
  send(text: string): void
  /**
   * Finishes sending, after all writes. Receiving continues. Resolves when the peer has been told.
   *
   * @throws the codes of {@link receive} if the connection breaks before.
   */
  end(): Promise<void>
  /**
   * Ends the connection: sends what was written, gives back what was not received, and resolves
   * when the connection is closed. Frags that the application holds stay valid.
   *
   * It waits for a peer that does not read until `idleTimeoutMs` or {@link destroy}. Once all is
   * sent, it waits at most half a second for the peer to close its side.
   */
  close(): Promise<void>
  /**
   * Ends the connection at once: unsent writes are lost, and a waiting receiver gets `reason`. With
   * a reason, a TCP peer gets a reset, so that it sees an error instead of a proper end.
   */
  destroy(reason?: Error): void

  /** Writes all that arrives to a stream or to another connection: see `pipeTo`. */
  pipeTo(
    this: Connection<HostFrag>,
    destination: Writable | WritableStream<Uint8Array> | ByteDestination,
    options?: PipeOptions,
  ): Promise<number>

  /** Keeps the process alive while open, also while it waits for memory: the default. */
  ref(): this
  /** Lets the process end although the connection is open. */
  unref(): this
}
