/** State of a connection over a kernel socket: one value, changed by one pure function. */

import type { ConnectionState } from '../connection.ts'
import { connectionClosed } from './connection-error.ts'

/**
 * A {@link ConnectionState}, or `ending`: the peer's end has been read, and a reset may still stand
 * behind it.
 */
export type SocketState = ConnectionState | { readonly kind: 'ending' }

/** Changes of a socket. */
export type SocketEvent =
  /** An end was read. */
  | { readonly kind: 'endRead' }
  /** The end is the peer's: no reset stands behind it. */
  | { readonly kind: 'peerEnded' }
  /** The socket failed, or this side destroyed the connection with a reason. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The socket is closed, or this side destroyed the connection without a reason. */
  | { readonly kind: 'closed' }

/** Returns the state after `event`. The first failure, or this side's close, is final. */
export function next(state: SocketState, event: SocketEvent): SocketState {
  if (state.kind === 'closed' || state.kind === 'failed') return state
  switch (event.kind) {
    case 'endRead':
      return state.kind === 'open' ? { kind: 'ending' } : state
    case 'peerEnded':
      return { kind: 'ended' }
    case 'failed':
      return event
    case 'closed':
      return event
  }
}

/** True once the stream of received bytes is over: {@link endOf} says how. */
export function isOver(state: SocketState): boolean {
  return state.kind !== 'open' && state.kind !== 'ending'
}

/**
 * Error that ends the stream of received bytes, or `undefined` if the peer has finished sending.
 */
export function endOf(state: SocketState): Error | undefined {
  return state.kind === 'ended' ? undefined : errorOf(state)
}

/** Error of calls on a connection whose socket is destroyed. */
export function errorOf(state: SocketState): Error {
  return state.kind === 'failed' ? state.error : connectionClosed()
}
