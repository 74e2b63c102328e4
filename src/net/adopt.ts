/** Adopts a socket that exists already as a connection. */

import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { Connection } from '../connection.ts'
import { LifetimeError, type OptionNames, ownOptions } from '../errors.ts'
import { invalid } from './arguments.ts'
import { connectionClosed } from './connection-error.ts'
import {
  CONNECTION_OPTIONS,
  type ConnectionOptions,
  checkOptions,
  copies,
  createDriver,
} from './connection-options.ts'
import { feed, takeOver } from './driver/posted-reads.ts'
import { SocketConnection } from './socket-connection.ts'
import { tlsInfo } from './tls-info.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_PENDING_WRITES: 'LifetimeError'
  }
}

/** Options of {@link adopt}. */
export interface AdoptOptions extends ConnectionOptions {
  /** Bytes that were read from the socket before, such as the `head` of an HTTP upgrade. */
  readonly head?: Uint8Array
}

const NAMES: OptionNames<AdoptOptions> = { ...CONNECTION_OPTIONS, head: true }

/**
 * Takes over a connected `net.Socket` or `tls.TLSSocket`, such as the socket of an HTTP upgrade or
 * of a proxy handshake. The connection receives `head` first, then the bytes that the socket has
 * buffered, then the bytes that arrive. The socket object must not be used afterwards.
 *
 * @throws NETMEM_PENDING_WRITES while the socket has writes that are not flushed.
 * @throws NETMEM_CONNECTION_CLOSED if the socket is closed or its peer has finished sending.
 * @throws NETMEM_INVALID_ARGUMENT if it is no connected socket, or decodes what it receives.
 *
 * @example
 * ```ts
 * import { adopt } from 'netmem/net'
 *
 * server.on('upgrade', async (request, socket, head) => {
 *   const connection = adopt(socket, { pool, head })
 *   await connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n')
 *   for await (const frag of connection) frag.release()
 * })
 * ```
 */
export function adopt(socket: Duplex, options: AdoptOptions): Connection {
  return adoptAt(socket, ownOptions('adopt()', options, NAMES), undefined)
}

/** @internal Adopts a socket that was accepted on the Unix socket at `path`. */
export function adoptAt(
  socket: Duplex,
  options: AdoptOptions,
  path: string | undefined,
): Connection {
  if (!(socket instanceof net.Socket)) {
    throw invalid('adopt() takes a net.Socket or a tls.TLSSocket.')
  }
  checkOptions(options)
  const { head } = options
  if (head !== undefined && !(head instanceof Uint8Array)) {
    throw invalid('head must be a Uint8Array, such as the head of an HTTP upgrade.')
  }
  if (socket.destroyed) throw connectionClosed()
  if (socket.pending || isInHandshake(socket)) {
    throw invalid(
      "The socket is not connected yet. Adopt it after its 'connect' event, a client's TLSSocket after 'secureConnect'.",
    )
  }
  if (!socket.readable) throw connectionClosed()
  if (socket.readableEncoding !== null) {
    throw invalid('The socket decodes what it receives. Adopt it before setEncoding() is called.')
  }
  if (socket.writableLength > 0) {
    throw new LifetimeError(
      'NETMEM_PENDING_WRITES',
      `${socket.writableLength} bytes are not written yet. Adopt the socket in the callback of its last write.`,
    )
  }
  const secure = socket instanceof tls.TLSSocket
  const driver = createDriver(options, secure)
  const known = { tls: secure ? tlsInfo(socket) : undefined, localPath: path }
  if (head !== undefined) feed(driver, head)
  const reads = takeOver(socket, driver, copies(options))
  driver.start(reads)
  return new SocketConnection(driver, reads, options, known)
}

/** True while the TLS handshake of a client is not complete. */
function isInHandshake(socket: net.Socket): boolean {
  return socket instanceof tls.TLSSocket && Reflect.get(socket, 'secureConnecting') === true
}
