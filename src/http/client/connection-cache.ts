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

interface Idle {
  readonly connection: HttpConnection
  readonly pool: PagePool<Page>
  readonly key: string
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
  /** Resting connections, the longest resting first. */
  readonly #idle = new Set<Idle>()
  /** The same connections by their key. */
  readonly #byKey = new Map<string, Idle[]>()
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
    for (const idle of this.#idle) this.#drop(idle)
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
    if (same === undefined) return undefined
    let at = same.length - 1
    while (at >= 0 && same[at]?.pool !== pool) at--
    const idle = same[at]
    if (idle === undefined) return undefined
    this.#remove(idle, same)
    idle.connection.unpark()
    return idle.connection
  }

  /** @internal Lets a connection rest, or closes it. */
  give(pool: PagePool<Page>, key: string, connection: HttpConnection): void {
    if (this.#closed || !connection.clean || this.#maxIdle === 0 || this.#maxIdlePerOrigin === 0) {
      connection.destroy()
      return
    }
    const idle: Idle = { connection, pool, key }
    this.#makeRoom(key)
    this.#idle.add(idle)
    const same = this.#byKey.get(key)
    if (same === undefined) this.#byKey.set(key, [idle])
    else same.push(idle)
    connection.park(this.#idleTimeoutMs, () => this.#drop(idle))
  }

  /** @internal Closes the connections that receive into `pool`, before it is destroyed. */
  forget(pool: PagePool<Page>): void {
    for (const idle of this.#idle) {
      if (idle.pool === pool) this.#drop(idle)
    }
  }

  #makeRoom(key: string): void {
    const same = this.#byKey.get(key)
    if (same !== undefined && same.length >= this.#maxIdlePerOrigin) this.#drop(same[0])
    if (this.#idle.size < this.#maxIdle) return
    const [oldest] = this.#idle
    this.#drop(oldest)
  }

  #drop(idle: Idle | undefined): void {
    const same = idle === undefined ? undefined : this.#byKey.get(idle.key)
    if (idle === undefined || same === undefined || !this.#idle.has(idle)) return
    this.#remove(idle, same)
    idle.connection.destroy()
  }

  #remove(idle: Idle, same: Idle[]): void {
    this.#idle.delete(idle)
    if (same.at(-1) === idle) same.pop()
    else same.splice(same.indexOf(idle), 1)
    // An origin without connections takes no memory.
    if (same.length === 0) this.#byKey.delete(idle.key)
  }
}
