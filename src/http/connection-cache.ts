/**
 * Connections that were left open by one exchange for the next. Each is read while it rests, so
 * that its end, or anything a server has no business to send, is noticed before it is used again.
 */

import { checkInteger } from '../errors.ts'
import type { Page } from '../netmem.ts'
import type { PagePool } from '../pool/page-pool.ts'
import type { Wire } from './wire.ts'

/** How many connections may rest, and how long. */
export interface ConnectionCacheOptions {
  /** Of one origin: 0 to 1024; 8 by default. */
  readonly maxIdlePerOrigin?: number
  /** Of all origins: 0 to 65536; 64 by default. */
  readonly maxIdle?: number
  /** 1 to 2^31 − 1; 4000 by default, since Node.js's servers close after 5 seconds. */
  readonly idleTimeoutMs?: number
}

interface Idle {
  readonly wire: Wire
  readonly pool: PagePool<Page>
  readonly key: string
  readonly timer: NodeJS.Timeout
}

/**
 * Keeps connections alive between transfers. All transfers share one unless they are given
 * another. Resting connections do not keep the process alive, and hold no page.
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
 * // When no more is to be got:
 * keepAlive.close()
 * ```
 */
export class ConnectionCache {
  readonly #maxIdlePerOrigin: number
  readonly #maxIdle: number
  readonly #idleTimeoutMs: number
  /** The longest resting first. */
  readonly #idle = new Set<Idle>()
  #closed = false

  /** Throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE. */
  constructor(options: ConnectionCacheOptions = {}) {
    const { maxIdlePerOrigin = 8, maxIdle = 64, idleTimeoutMs = 4000 } = options
    this.#maxIdlePerOrigin = checkInteger('maxIdlePerOrigin', maxIdlePerOrigin, 0, 1024)
    this.#maxIdle = checkInteger('maxIdle', maxIdle, 0, 65_536)
    this.#idleTimeoutMs = checkInteger('idleTimeoutMs', idleTimeoutMs, 1, 2 ** 31 - 1)
  }

  /** Connections that rest now. */
  get idle(): number {
    return this.#idle.size
  }

  /** Ends all that rest, and keeps none from now on. */
  close(): void {
    this.#closed = true
    for (const idle of this.#idle) this.#drop(idle)
  }

  /** @internal The one that has rested for the shortest time; `undefined` when there is none. */
  take(pool: PagePool<Page>, key: string): Wire | undefined {
    let found: Idle | undefined
    for (const idle of this.#idle) {
      if (idle.key === key && idle.pool === pool) found = idle
    }
    if (found === undefined) return undefined
    clearTimeout(found.timer)
    this.#idle.delete(found)
    found.wire.connection.ref()
    return found.wire
  }

  /** @internal Lets a connection rest, or ends it. */
  give(pool: PagePool<Page>, key: string, wire: Wire): void {
    if (this.#closed || !wire.clean || this.#maxIdle === 0 || this.#maxIdlePerOrigin === 0) {
      wire.destroy()
      return
    }
    const timer = setTimeout(() => this.#drop(idle), this.#idleTimeoutMs).unref()
    const idle: Idle = { wire, pool, key, timer }
    this.#makeRoom(key)
    this.#idle.add(idle)
    wire.park(() => {
      if (this.#idle.has(idle)) this.#drop(idle)
    })
  }

  /** @internal Ends those that receive into `pool`, which is about to go. */
  forget(pool: PagePool<Page>): void {
    for (const idle of this.#idle) {
      if (idle.pool === pool) this.#drop(idle)
    }
  }

  #makeRoom(key: string): void {
    const same = [...this.#idle].filter((idle) => idle.key === key)
    const [oldestOfSame] = same
    if (same.length >= this.#maxIdlePerOrigin && oldestOfSame !== undefined) {
      this.#drop(oldestOfSame)
    }
    const [oldest] = this.#idle
    if (this.#idle.size >= this.#maxIdle && oldest !== undefined) this.#drop(oldest)
  }

  #drop(idle: Idle): void {
    clearTimeout(idle.timer)
    this.#idle.delete(idle)
    idle.wire.destroy()
  }
}
