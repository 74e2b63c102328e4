/** Listens for connections: TCP, Unix domain sockets, TLS over either. */

import net from 'node:net'
import tls from 'node:tls'
import type { Address, Connection } from '../connection.ts'
import { checkInteger, type OptionNames, ownOptions } from '../errors.ts'
import { adoptAt } from './adopt.ts'
import { describeTarget, invalid, type PortOrPath, targetOf } from './arguments.ts'
import { aborted, setUpError } from './connection-error.ts'
import { CONNECTION_OPTIONS, type ConnectionOptions, checkOptions } from './connection-options.ts'
import { rejectedAtCaller } from './rejected-at-caller.ts'

/** Options of {@link listen}. Each accepted connection gets the options of connections. */
export type ListenOptions = OptionsOfListen & PortOrPath

interface OptionsOfListen extends ConnectionOptions {
  /** Address of this machine to listen on, 127.0.0.1 by default. */
  readonly host?: string
  /** TLS with these options of `tls.createServer`. */
  readonly tls?: tls.TlsOptions
  /** Connections that may wait to be accepted: 1 to 65535, 511 by default. */
  readonly backlog?: number
}

/**
 * Accepts connections: iterate over it, or call {@link accept}. Closing it destroys connections
 * that are still queued, and leaves accepted ones open.
 */
export class Listener implements AsyncIterable<Connection>, AsyncDisposable {
  /** Address that it listens on, with the port that the system chose for port 0. */
  readonly address: Address
  readonly #server: net.Server
  readonly #options: ListenOptions
  readonly #queue: Connection[] = []
  readonly #waiters: ((connection: Connection | Promise<undefined>) => void)[] = []
  #closed = false
  /** Error of {@link accept} once the listener has closed for it. */
  #failure: unknown
  readonly #abort = (): void => void this.close()
  readonly #warned = new Set<string>()

  /** @internal */
  constructor(server: net.Server, options: ListenOptions) {
    this.#server = server
    this.#options = options
    const address = server.address()
    this.address =
      typeof address === 'string'
        ? { host: address, port: 0 }
        : { host: address?.address ?? '', port: address?.port ?? 0 }
    const event = options.tls === undefined ? 'connection' : 'secureConnection'
    server.on(event, (socket: net.Socket) => this.#accepted(socket))
    server.on('error', (error) => this.#complain(error))
    options.signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /**
   * Accepts the next connection. Resolves with `undefined` once the listener is closed.
   *
   * @throws NETMEM_POOL_DESTROYED, as a rejection, if a peer has connected after the pool was
   *   destroyed.
   */
  accept(): Promise<Connection | undefined> {
    const connection = this.#queue.shift()
    if (connection !== undefined) return Promise.resolve(connection)
    if (this.#closed) return this.#ended()
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
    })
  }

  /** Iterates over {@link accept}. Leaving the loop does not close the listener. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection, void, void> {
    for (let next = await this.accept(); next !== undefined; next = await this.accept()) yield next
  }

  /** Stops listening, and resolves at once. Accepted connections stay open. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#server.close()
    for (const connection of this.#queue.splice(0)) connection.destroy()
    for (const answer of this.#waiters.splice(0)) answer(this.#ended())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Keeps the process alive while listening: the default. */
  ref(): this {
    this.#server.ref()
    return this
  }

  /** Stops keeping the process alive while it listens. */
  unref(): this {
    this.#server.unref()
    return this
  }

  #accepted(socket: net.Socket): void {
    // The peer may have left before it was accepted.
    if (this.#closed || socket.destroyed || !socket.readable) {
      socket.destroy()
      return
    }
    let connection: Connection
    try {
      connection = adoptAt(socket, this.#options, this.#options.path)
    } catch (error) {
      socket.on('error', () => {}).destroy()
      if (this.#options.pool.destroyed) {
        this.#failure = error
        this.#abort()
      } else {
        this.#complain(error)
      }
      return
    }
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#queue.push(connection)
    else waiter(connection)
  }

  /** Reports a connection that could not be accepted. The listener accepts the next one. */
  #complain(cause: unknown): void {
    const { host, port } = this.address
    const { message } = setUpError(
      'NETMEM_LISTEN_FAILED',
      port > 0 ? `${host}:${port}` : host,
      cause,
    )
    if (this.#warned.has(message)) return
    this.#warned.add(message)
    process.emitWarning(message, { type: 'NetmemWarning', code: 'netmem:accept' })
  }

  /** Answer of {@link accept} once the listener is closed. */
  #ended(): Promise<undefined> {
    return this.#failure === undefined ? Promise.resolve(undefined) : Promise.reject(this.#failure)
  }
}

const NAMES: OptionNames<ListenOptions> = {
  ...CONNECTION_OPTIONS,
  host: true,
  port: true,
  path: true,
  tls: true,
  backlog: true,
}

/**
 * Listens, and resolves when peers can connect. The signal closes the listener and every connection
 * that it accepted.
 *
 * @throws NETMEM_LISTEN_FAILED or NETMEM_ABORTED, as a rejection.
 * @throws NETMEM_INVALID_ARGUMENT for an option of the wrong type, NETMEM_OUT_OF_RANGE for one outside its range.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 * import { listen } from 'netmem/net'
 *
 * const pool = createPool(hostProvider({ pages: 64 }))
 * const listener = await listen({ pool, port: 5201 })
 * for await (const connection of listener) {
 *   // Every client in a loop of its own: a reset ends that loop alone.
 *   const serve = async (): Promise<void> => {
 *     for await (const frag of connection) frag.release()
 *     await connection.close()
 *   }
 *   serve().catch((error: Error) => console.error(error.message))
 * }
 * ```
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const own = ownOptions('listen()', options, NAMES)
  checkOptions(own)
  const target = targetOf('listen()', { host: '127.0.0.1', ...own }, 0)
  const { signal } = own
  const backlog = checkInteger('backlog', own.backlog ?? 511, 1, 65535)
  if (signal?.aborted) throw aborted(signal.reason)
  const where = describeTarget(target)
  const server = makeServer(own, where)
  // A client that fails its TLS handshake ends no other connection.
  server.on('tlsClientError', (_error, socket: net.Socket) => void socket.destroy())
  await new Promise<void>((resolve) => {
    const failed = (error: Error): void =>
      resolve(rejectedAtCaller(setUpError('NETMEM_LISTEN_FAILED', where, error)))
    server.once('error', failed)
    server.listen({ ...target, backlog }, () => {
      server.off('error', failed)
      resolve()
    })
  })
  const listener = new Listener(server, own)
  if (signal?.aborted) {
    await listener.close()
    throw aborted(signal.reason)
  }
  return listener
}

function makeServer(options: ListenOptions, where: string): net.Server {
  if (options.tls === undefined) {
    return net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
  }
  const { cert, pfx, SNICallback, pskCallback } = options.tls
  if ((cert ?? pfx ?? SNICallback ?? pskCallback) === undefined) {
    throw invalid('A TLS server needs a certificate: tls takes cert and key, or pfx.')
  }
  try {
    // Half-open only once adopted. A client that leaves during its handshake would stay for
    // minutes.
    return tls.createServer({ ...options.tls })
  } catch (error) {
    // Malformed certificates throw here.
    throw setUpError('NETMEM_LISTEN_FAILED', where, error)
  }
}
