/** Writes data of several pieces in one system call. */

import type net from 'node:net'
import type { Sendable } from '../connection.ts'

/** True if `data` can be written. JavaScript callers may pass anything. */
export function isSendable(data: unknown): data is Sendable {
  return Array.isArray(data) ? data.every(isPiece) : isPiece(data)
}

function isPiece(piece: unknown): piece is Uint8Array | string {
  return piece instanceof Uint8Array || typeof piece === 'string'
}

/** Bytes of `data` on the wire. Text is UTF-8. */
export function byteLengthOf(data: Sendable): number {
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (data instanceof Uint8Array) return data.byteLength
  return data.reduce((bytes, piece) => bytes + byteLengthOf(piece), 0)
}

/** Writes all of `data`. `done` is called once, when the last piece is written or has failed. */
export function writeTo(
  socket: net.Socket,
  data: Sendable,
  done: (error?: Error | null) => void,
): void {
  if (typeof data === 'string' || data instanceof Uint8Array || data.length < 2) {
    socket.write(Array.isArray(data) ? (data[0] ?? '') : data, done)
    return
  }
  // A corked socket hands all pieces to one writev(2).
  socket.cork()
  const last = data.length - 1
  for (const [at, piece] of data.entries()) {
    if (at < last) socket.write(piece)
    else socket.write(piece, done)
  }
  socket.uncork()
}
