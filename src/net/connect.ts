/** Connecting: TCP, Unix domain sockets, TLS over either. */

import type net from 'node:net'
import type tls from 'node:tls'
import { ArgumentTypeError, ConnectionError, checkInteger } from '../errors.ts'
import { Connection, type ConnectionOptions, copies, makeDriver } from './connection.ts'
import { aborted, setUpError } from './connection-error.ts'
import { dial } from './posted-reads.ts'

/** Where a connection goes, and how. */
export interface ConnectOptions extends ConnectionOptions {
  /** Name or address; `localhost` by default. */
  readonly host?: string
  /** 1 to 65535; either this or `path`. */
  readonly port?: number
  /** A Unix domain socket. */
  readonly path?: string
  /** TLS with these options of `tls.connect`; `true` for none. */
  readonly tls?: tls.ConnectionOptions | true
  /** Gives up after so long without a connection, TLS included: 1 to 2^31 − 1. */
  readonly connectTimeoutMs?: number
}

/**
 * Connects, and resolves when bytes can flow, TLS included. Nothing is read before somebody
 * receives. Rejects with NETMEM_CONNECT_FAILED, NETMEM_TLS, NETMEM_TIMEOUT or NETMEM_ABORTED;
 * throws NETMEM_INVALID_ARGUMENT and NETMEM_OUT_OF_RANGE.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 * import { connect } from 'netmem/net'
 *
 * const pool = createPool(hostProvider({ pages: 64 }))
 * const connection = await connect({ pool, host: '127.0.0.1', port: 5201 })
 * for await (const frag of connection) frag.release()
 * await connection.close()
 * ```
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const target = targetOf(options)
  const security = options.tls === true ? {} : options.tls
  const where = 'path' in target ? target.path : `${target.host ?? 'localhost'}:${target.port}`
  if (options.signal?.aborted) throw aborted(options.signal.reason)
  const driver = makeDriver(options, security !== undefined)
  const reads = dial(
    security === undefined ? target : { ...target, tls: security },
    driver,
    copies(options),
  )
  await ready(reads.socket, options, where, security === undefined ? 'connect' : 'secureConnect')
  return new Connection(driver, reads, options)
}

function targetOf({
  host,
  port,
  path,
}: ConnectOptions): net.TcpNetConnectOpts | net.IpcNetConnectOpts {
  if (path !== undefined && port === undefined) return { path }
  if (path !== undefined || port === undefined) {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      'connect() takes either a port or a path.',
    )
  }
  checkInteger('port', port, 1, 65535)
  return host === undefined ? { port } : { port, host }
}

function ready(
  socket: net.Socket,
  { signal, connectTimeoutMs }: ConnectOptions,
  where: string,
  event: 'connect' | 'secureConnect',
): Promise<void> {
  const timeoutMs =
    connectTimeoutMs === undefined
      ? undefined
      : checkInteger('connectTimeoutMs', connectTimeoutMs, 1, 2 ** 31 - 1)
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      socket.off('error', failed)
      socket.off('close', closedEarly)
      if (error === undefined) {
        resolve()
        return
      }
      // Whatever else the dying socket has to say has been said.
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const failed = (error: Error): void => done(setUpError('NETMEM_CONNECT_FAILED', where, error))
    const closedEarly = (): void => failed(new Error('the peer closed the connection'))
    const abort = (): void => done(aborted(signal?.reason))
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(
            () =>
              done(
                new ConnectionError(
                  'NETMEM_TIMEOUT',
                  `No connection to ${where} within ${timeoutMs} ms.`,
                ),
              ),
            timeoutMs,
          )
    socket.once('error', failed)
    socket.once('close', closedEarly)
    socket.once(event, () => done())
    signal?.addEventListener('abort', abort, { once: true })
  })
}
