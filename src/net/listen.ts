/** Listening: TCP, Unix domain sockets, TLS over either. */

import net from 'node:net'
import tls from 'node:tls'
import { ArgumentTypeError, checkInteger } from '../errors.ts'
import { adopt } from './adopt.ts'
import type { Address, Connection, ConnectionOptions } from './connection.ts'
import { aborted, setUpError } from './connection-error.ts'

/** Where to listen, and what each accepted connection is told. */
export interface ListenOptions extends ConnectionOptions {
  /** Address of this machine; 127.0.0.1 by default. */
  readonly host?: string
  /** 0 to 65535; 0 takes a free one. Either this or `path`. */
  readonly port?: number
  /** A Unix domain socket to make. */
  readonly path?: string
  /** TLS with these options of `tls.createServer`. */
  readonly tls?: tls.TlsOptions
  /** Connections that may wait to be accepted: 1 to 65535, 511 by default. */
  readonly backlog?: number
}

/**
 * Accepts connections: iterate over it, or call {@link accept}. Connections that nobody has
 * accepted are closed with it; accepted ones are not.
 */
export class Listener implements AsyncIterable<Connection>, AsyncDisposable {
  readonly address: Address
  readonly #server: net.Server
  readonly #queue: Connection[] = []
  #waiters: ((connection: Connection | undefined) => void)[] = []
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(server: net.Server, options: ListenOptions) {
    this.#server = server
    const address = server.address()
    this.address =
      typeof address === 'string'
        ? { host: address, port: 0 }
        : { host: address?.address ?? '', port: address?.port ?? 0 }
    server.on(
      options.tls === undefined ? 'connection' : 'secureConnection',
      (socket: net.Socket) => {
        // A peer may be gone before it is accepted.
        if (socket.destroyed || !socket.readable) socket.destroy()
        else this.#accepted(adopt(socket, options))
      },
    )
  }

  /** The next connection; `undefined` once the listener is closed. */
  accept(): Promise<Connection | undefined> {
    const connection = this.#queue.shift()
    if (connection !== undefined || this.#closing !== undefined) return Promise.resolve(connection)
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
    })
  }

  /** Iterates over {@link accept}. Leaving the loop does not close the listener. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection, void, void> {
    for (let next = await this.accept(); next !== undefined; next = await this.accept()) yield next
  }

  /** Stops listening; resolves at once, accepted connections go on. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Keeps the process alive while listening: the default. */
  ref(): this {
    this.#server.ref()
    return this
  }

  /** Lets the process end although it is listening. */
  unref(): this {
    this.#server.unref()
    return this
  }

  #accepted(connection: Connection): void {
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) waiter(connection)
    else if (this.#closing === undefined) this.#queue.push(connection)
    else connection.destroy()
  }

  #close(): Promise<void> {
    this.#server.close()
    for (const connection of this.#queue.splice(0)) connection.destroy()
    for (const waiter of this.#waiters.splice(0)) waiter(undefined)
    return Promise.resolve()
  }
}

/**
 * Listens; resolves when peers can connect. Rejects with NETMEM_LISTEN_FAILED or NETMEM_ABORTED;
 * throws NETMEM_INVALID_ARGUMENT and NETMEM_OUT_OF_RANGE. The signal closes the listener and
 * every connection it accepted.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 * import { listen } from 'netmem/net'
 *
 * const pool = createPool(hostProvider({ pages: 64 }))
 * const listener = await listen({ pool, port: 5201 })
 * for await (const connection of listener) {
 *   for await (const frag of connection) frag.release()
 *   await connection.close()
 * }
 * ```
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host = '127.0.0.1', port, path, signal } = options
  if ((path === undefined) === (port === undefined)) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'listen() takes either a port or a path.',
    )
  }
  if (port !== undefined) checkInteger('port', port, 0, 65535)
  const backlog = checkInteger('backlog', options.backlog ?? 511, 1, 65535)
  if (signal?.aborted) throw aborted(signal.reason)
  const where = path ?? `${host}:${port}`
  const settings = { allowHalfOpen: true, pauseOnConnect: true }
  const server =
    options.tls === undefined
      ? net.createServer(settings)
      : tls.createServer({ ...options.tls, allowHalfOpen: true })
  // A client that breaks off its TLS handshake is its own problem.
  server.on('tlsClientError', (_error, socket: net.Socket) => void socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(setUpError('NETMEM_LISTEN_FAILED', where, error)))
    server.listen(path === undefined ? { host, port, backlog } : { path, backlog }, () => resolve())
  })
  const listener = new Listener(server, options)
  signal?.addEventListener('abort', () => void listener.close(), { once: true })
  return listener
}
