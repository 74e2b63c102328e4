/** Options of every connection, checked for all ways to open one. */

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
  /** Pool that received data goes to. */
  readonly pool: PagePool<Page>
  /**
   * Bytes of the small buffer that is posted for an idle connection in place of a page: 2 KiB to 16
   * KiB, the default. Shorter reads are copied out of it.
   */
  readonly smallBufferBytes?: number
  /** Destroys the connection when aborted, and gives back frags that were not received. */
  readonly signal?: AbortSignal
  /**
   * Milliseconds without any bytes in either direction after which the connection is destroyed: 1
   * to 2^31 − 1. No limit by default.
   */
  readonly idleTimeoutMs?: number
  /** Sends small writes at once, true by default. */
  readonly noDelay?: boolean
  /**
   * Idle milliseconds before TCP sends a probe. Some systems count whole seconds. 0, the default:
   * no probes.
   */
  readonly keepAliveMs?: number
  /**
   * Fewer wake-ups on fast links, made by `wakeBatching` of `netmem/linux`. While the connection
   * carries 0.5 GB/s and more, the kernel wakes it for 4 MiB at a time instead of for every
   * segment. That saves CPU at both ends. The last bytes may wait up to 16 ms if the receiver does
   * not say how many it expects. Ignored where the system has no such mark.
   */
  readonly wakeBatching?: WakeBatching
  /**
   * `data` copies the Buffers of `data` events into pages, for comparison and as a workaround. The
   * default `posted` reads into pages where this Node.js can.
   */
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

/** @internal Longest timeout of Node.js, in milliseconds. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/** Bytes of a whole TLS record (RFC 8446, 5.1). A read of this size means that more is expected. */
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
    throw new LifetimeError('NETMEM_POOL_DESTROYED', 'The pool is destroyed. Make another one.')
  }
  if (options.wakeBatching !== undefined && typeof options.wakeBatching !== 'function') {
    throw invalid(
      "wakeBatching must be the function that netmem/linux's wakeBatching() resolves with.",
    )
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

/** @internal Makes the driver of a connection whose options have been checked. */
export function createDriver(options: ConnectionOptions, secure: boolean): SocketDriver {
  const burst = secure ? TLS_RECORD : Number.POSITIVE_INFINITY
  const smallBytes = options.smallBufferBytes ?? RX_COPYBREAK
  return new SocketDriver(options.pool, smallBytes, burst, options.wakeBatching)
}

/** @internal True if `data` events are to be copied. */
export function copies(options: ConnectionOptions): boolean {
  return options.reads === 'data' || !canPost()
}
