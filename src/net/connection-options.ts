/** The options that every connection has, in whichever way it is made. */

import { checkInteger, HandleError, LifetimeError, type OptionNames } from '../errors.ts'
import type { Page } from '../netmem.ts'
import { RX_COPYBREAK } from '../pool/copies.ts'
import { PagePool } from '../pool/page-pool.ts'
import { checkOptionalBoolean, checkSignal, invalid } from './arguments.ts'
import { canPost } from './driver/posted-reads.ts'
import { SocketDriver } from './driver/socket-driver.ts'
import type { WakeBatching } from './driver/wake-batching.ts'

/** Options of every connection. */
export interface ConnectionOptions {
  /** The pool that received data goes to. */
  readonly pool: PagePool<Page>
  /**
   * Bytes of the buffer that an idle connection has posted in place of a page: 2 KiB to 16 KiB,
   * the default. Shorter reads are copied out of it.
   */
  readonly smallBufferBytes?: number
  /** Destroys the connection when aborted, and gives back what nobody has received. */
  readonly signal?: AbortSignal
  /** Destroys the connection when nothing moved in either direction for so long: 1 to 2^31 − 1. */
  readonly idleTimeoutMs?: number
  /** Sends small writes at once: on by default. */
  readonly noDelay?: boolean
  /** Sends a probe after so many idle milliseconds, of which a system may count whole seconds only; 0 or absent: none. */
  readonly keepAliveMs?: number
  /**
   * Has the kernel wake nobody for less than four megabytes while the connection carries a lot,
   * 0.5 GB/s and more: `wakeBatching` of `netmem/linux`. It saves CPU on both sides of a fast path; what
   * comes last waits up to 16 ms where nobody knows that it is the last. Ignored where it cannot be had.
   */
  readonly wakeBatching?: WakeBatching
  /** `data` copies Node's Buffers into pages even where this Node.js could do without: for comparison and as a way out. */
  readonly reads?: 'posted' | 'data'
}

/** @internal */
export const CONNECTION_OPTIONS: OptionNames<ConnectionOptions> = {
  pool: true,
  smallBufferBytes: true,
  signal: true,
  idleTimeoutMs: true,
  noDelay: true,
  keepAliveMs: true,
  wakeBatching: true,
  reads: true,
}

/** @internal Node.js waits no longer. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/** A whole TLS record (RFC 8446, 5.1): a read of this size says that more is to come. */
const TLS_RECORD = 16 * 1024

/** @internal Throws for options that no connection can have. */
export function checkOptions(options: ConnectionOptions): void {
  const { pool, signal, reads, smallBufferBytes, idleTimeoutMs, keepAliveMs } = options
  if (!(pool instanceof PagePool)) throw invalid('pool must be made by createPool().')
  if (pool.kind !== 'page') {
    throw new HandleError(
      'NETMEM_WRONG_KIND',
      'Sockets receive into host memory: give them a pool of pages.',
    )
  }
  if (pool.destroyed) {
    throw new LifetimeError('NETMEM_POOL_DESTROYED', 'The pool is destroyed; make another one.')
  }
  if (options.wakeBatching !== undefined && typeof options.wakeBatching !== 'function') {
    throw invalid("wakeBatching is a function: what netmem/linux's wakeBatching() resolves with.")
  }
  checkSignal(signal)
  checkOptionalBoolean('noDelay', options.noDelay)
  if (reads !== undefined && reads !== 'posted' && reads !== 'data') {
    throw invalid("reads is 'posted' or 'data'.")
  }
  if (smallBufferBytes !== undefined) {
    checkInteger('smallBufferBytes', smallBufferBytes, 2048, RX_COPYBREAK)
  }
  if (idleTimeoutMs !== undefined) checkInteger('idleTimeoutMs', idleTimeoutMs, 1, MAX_TIMER_MS)
  if (keepAliveMs !== undefined) checkInteger('keepAliveMs', keepAliveMs, 0, MAX_TIMER_MS)
}

/** @internal The driver of a new connection, whose options have been checked. */
export function makeDriver(options: ConnectionOptions, secure: boolean): SocketDriver {
  const burst = secure ? TLS_RECORD : Number.POSITIVE_INFINITY
  const smallBytes = options.smallBufferBytes ?? RX_COPYBREAK
  return new SocketDriver(options.pool, smallBytes, burst, options.wakeBatching)
}

/** @internal Whether `data` events are to be copied. */
export function copies(options: ConnectionOptions): boolean {
  return options.reads === 'data' || !canPost()
}
