/**
 * Detects resets of connections that are not being read. libuv does not wait for events of such a socket,
 * not even for a hang-up. So each socket is asked once a second. This needs Linux, and TCP or TLS.
 */

import type net from 'node:net'
import { isReset } from './posted-reads.ts'

const LOOK_MS = 1000

/** A connection that may stop reading. */
export interface Resettable {
  readonly reading: boolean
  /** Reads the data that is left in the kernel, and the reset behind it. */
  readToEnd(): void
}

const watched = new Map<net.Socket, Resettable>()
let timer: NodeJS.Timeout | undefined

/** Makes `connection` read when its peer has reset it, until the socket is closed. */
export function watchForReset(socket: net.Socket, connection: Resettable): void {
  if (process.platform !== 'linux' || socket.destroyed) return
  watched.set(socket, connection)
  timer ??= setInterval(look, LOOK_MS).unref()
  socket.once('close', () => {
    watched.delete(socket)
    if (watched.size > 0) return
    clearInterval(timer)
    timer = undefined
  })
}

function look(): void {
  for (const [socket, connection] of watched) {
    if (!connection.reading && isReset(socket)) connection.readToEnd()
  }
}
