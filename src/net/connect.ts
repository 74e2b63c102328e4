/** Connects to a server: TCP, Unix domain sockets, TLS over either. */

import net from 'node:net'
import tls from 'node:tls'
import type { Connection } from '../connection.ts'
import { ConnectionError, checkInteger, type OptionNames, ownOptions } from '../errors.ts'
import { describeTarget, type PortOrPath, targetOf } from './arguments.ts'
import { retryWithMoreTime } from './connect-attempts.ts'
import { aborted, setUpError } from './connection-error.ts'
import {
  CONNECTION_OPTIONS,
  type ConnectionOptions,
  checkOptions,
  copies,
  createDriver,
  MAX_TIMER_MS,
} from './connection-options.ts'
import { createPostedReads, type PostedReads } from './driver/posted-reads.ts'
import { rejectedAtCaller } from './rejected-at-caller.ts'
import { SocketConnection } from './socket-connection.ts'
import { tlsInfo } from './tls-info.ts'

/** Options of {@link connect}. */
export type ConnectOptions = OptionsOfConnect & PortOrPath

interface OptionsOfConnect extends ConnectionOptions {
  /** Name or address of the server, `localhost` by default. */
  readonly host?: string
  /** TLS with these options of `tls.connect`, or `true` for TLS without options. */
  readonly tls?: tls.ConnectionOptions | true
  /**
   * Milliseconds until {@link connect} gives up, TLS included: 1 to 2^31 − 1. No limit by default.
   */
  readonly connectTimeoutMs?: number
}

const NAMES: OptionNames<ConnectOptions> = {
  ...CONNECTION_OPTIONS,
  host: true,
  port: true,
  path: true,
  tls: true,
  connectTimeoutMs: true,
}

/**
 * Connects, and resolves when bytes can flow, TLS included. Nothing is read before the application
 * receives.
 *
 * @throws NETMEM_CONNECT_FAILED, NETMEM_TLS, NETMEM_TIMEOUT or NETMEM_ABORTED, as a rejection.
 * @throws NETMEM_INVALID_ARGUMENT and NETMEM_OUT_OF_RANGE for options that no connection can have.
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
  const own = ownOptions('connect()', options, NAMES)
  checkOptions(own)
  const target = targetOf('connect()', own, 1)
  const { connectTimeoutMs, signal } = own
  if (connectTimeoutMs !== undefined) {
    checkInteger('connectTimeoutMs', connectTimeoutMs, 1, MAX_TIMER_MS)
  }
  if (signal?.aborted) throw aborted(signal.reason)
  const where = describeTarget(target)
  // One limit over all attempts, with the error of the call as its reason.
  const limit = new AbortController()
  const abort = (): void => limit.abort(aborted(signal?.reason))
  const timeOut = (): void => {
    const message = `No connection to ${where} within ${connectTimeoutMs} ms.`
    limit.abort(new ConnectionError('NETMEM_TIMEOUT', message))
  }
  const timer = connectTimeoutMs === undefined ? undefined : setTimeout(timeOut, connectTimeoutMs)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await retryWithMoreTime((attemptTimeoutMs) =>
      attempt(
        { ...target, autoSelectFamilyAttemptTimeout: attemptTimeoutMs },
        own,
        where,
        limit.signal,
      ),
    )
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** Calls `net.connect` once. It tries the addresses of a name one after the other. */
function attempt(
  target: net.TcpNetConnectOpts | net.IpcNetConnectOpts,
  options: ConnectOptions,
  where: string,
  limit: AbortSignal,
): Promise<Connection> {
  const security = securityOf(options)
  const driver = createDriver(options, security !== undefined)
  let reads: PostedReads
  try {
    reads = createPostedReads(target, security, driver, copies(options))
  } catch (error) {
    // Malformed certificates throw here.
    throw setUpError('NETMEM_CONNECT_FAILED', where, error)
  }
  driver.start(reads)
  const { socket } = reads
  let reachedAt = 0
  // The TLS handshake begins now, if there is one.
  socket.once('connect', () => {
    reachedAt = performance.now()
  })
  return ready(socket, where, limit, () => {
    const secure = socket instanceof tls.TLSSocket
    const known = {
      tls: secure ? tlsInfo(socket, performance.now() - reachedAt) : undefined,
      remotePath: options.path,
    }
    return new SocketConnection(driver, reads, options, known)
  })
}

/**
 * Returns the TLS options, or `undefined` without TLS. They name the server, since it may have several
 * names.
 */
function securityOf({ tls: security, host }: ConnectOptions): tls.ConnectionOptions | undefined {
  if (security === undefined) return undefined
  const named = host !== undefined && net.isIP(host) === 0
  return { ...(named ? { servername: host } : {}), ...(security === true ? {} : security) }
}

/**
 * Resolves with what `make` returns. It is called within the event that says the socket is
 * connected, so that no event is missed.
 */
function ready<T>(
  socket: net.Socket,
  where: string,
  limit: AbortSignal,
  make: () => T,
): Promise<T> {
  return new Promise((resolve) => {
    const settled = (): void => {
      limit.removeEventListener('abort', abort)
      socket.off('error', failed)
      socket.off('close', closedEarly)
    }
    const giveUp = (error: unknown): void => {
      settled()
      // Ignore errors of the socket that is given up.
      socket.on('error', () => {})
      socket.destroy()
      resolve(rejectedAtCaller(error))
    }
    const failed = (error: Error): void => giveUp(setUpError('NETMEM_CONNECT_FAILED', where, error))
    const closedEarly = (): void => failed(new Error('the peer closed the connection'))
    const abort = (): void => giveUp(limit.reason)
    socket.once('error', failed)
    socket.once('close', closedEarly)
    socket.once(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', () => {
      settled()
      try {
        resolve(make())
      } catch (error) {
        giveUp(error)
      }
    })
    if (limit.aborted) abort()
    else limit.addEventListener('abort', abort, { once: true })
  })
}
