/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Connections that one exchange leaves open for the next. Each is read while it rests, so that its end,
 * and bytes that no request asked for, are noticed before it is used again.
 */

import { checkInteger, type OptionNames, ownOptions } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { HttpConnection } from './http-connection.ts'

/** Limits of a {@link ConnectionCache}. */
export interface ConnectionCacheOptions {
  /** Resting connections to one origin: 0 to 1024. Default: 8. */
  readonly maxIdlePerOrigin?: number
  /** Resting connections to all origins: 0 to 65536. Default: 64. */
  readonly maxIdle?: number
  /** Milliseconds of rest: 1 to 2^31 − 1. Default: 4000, since Node.js's servers close after 5 seconds. */
  readonly idleTimeoutMs?: number
}

const NAMES: OptionNames<ConnectionCacheOptions> = {
  maxIdlePerOrigin: true,
  maxIdle: true,
  idleTimeoutMs: true,
}

/**
 * Keeps connections open between transfers. Transfers share one cache, unless their options name
 * another. Resting connections hold no page, and let the process end.
 *
 * @example
 * ```ts
 * import { ConnectionCache, getInto } from 'netmem/http'
 *
 * const keepAlive = new ConnectionCache({ maxIdlePerOrigin: 2 })
 * async function sizeOf(url: string): Promise<number> {
 *   const { bytes } = await getInto(url, new Uint8Array(2 ** 20), { keepAlive })
 *   return bytes
 * }
 * // After the last transfer:
 * keepAlive.close()
 * ```
 */
export class ConnectionCache implements Disposable {
  readonly #maxIdlePerOrigin: number
  readonly #maxIdle: number
  readonly #idleTimeoutMs: number
  /** Idle connections, the one that is idle longest first. */
  readonly #idle = new Set<HttpConnection>()
  /** The same connections by their key. */
  readonly #byKey = new Map<string, HttpConnection[]>()
  #closed = false

  /** @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for wrong options. */
  constructor(options: ConnectionCacheOptions = {}) {
    const {
      maxIdlePerOrigin = 8,
      maxIdle = 64,
      idleTimeoutMs = 4000,
    } = ownOptions('ConnectionCache', options, NAMES)
    this.#maxIdlePerOrigin = checkInteger('maxIdlePerOrigin', maxIdlePerOrigin, 0, 1024)
    this.#maxIdle = checkInteger('maxIdle', maxIdle, 0, 65_536)
    this.#idleTimeoutMs = checkInteger('idleTimeoutMs', idleTimeoutMs, 1, 2 ** 31 - 1)
  }

  /** Number of resting connections. */
  get idle(): number {
    return this.#idle.size
  }

  /** Closes all resting connections, and keeps none from now on. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle) this.#drop(connection)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * @internal Takes the connection that has rested for the shortest time, or `undefined` if there is
   *   none.
   */
  take(pool: PagePool<Page>, key: string): HttpConnection | undefined {
    const same = this.#byKey.get(key)
    const connection = same?.findLast(({ transport }) => transport.pool === pool)
    if (connection !== undefined) this.#remove(connection)
    return connection
  }

  /** @internal Lets a connection rest, or closes it. */
  give(connection: HttpConnection): void {
    if (this.#closed || !connection.clean) {
      connection.destroy()
      return
    }
    const { key } = connection
    const same = this.#byKey.get(key) ?? []
    same.push(connection)
    this.#byKey.set(key, same)
    this.#idle.add(connection)
    connection.park(this.#idleTimeoutMs, () => this.#drop(connection))
    if (same.length > this.#maxIdlePerOrigin) this.#drop(same[0])
    const [oldest] = this.#idle
    if (this.#idle.size > this.#maxIdle) this.#drop(oldest)
  }

  /** @internal Closes the connections that receive into `pool`, before it is destroyed. */
  forget(pool: PagePool<Page>): void {
    for (const connection of this.#idle) {
      if (connection.transport.pool === pool) this.#drop(connection)
    }
  }

  #drop(connection: HttpConnection | undefined): void {
    if (connection === undefined) return
    this.#remove(connection)
    connection.destroy()
  }

  #remove(connection: HttpConnection): void {
    this.#idle.delete(connection)
    const same = this.#byKey.get(connection.key) ?? []
    const at = same.lastIndexOf(connection)
    if (at >= 0) same.splice(at, 1)
    // An origin without connections takes no memory.
    if (same.length === 0) this.#byKey.delete(connection.key)
  }
}
