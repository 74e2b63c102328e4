/** Copies of payload that a pool's receivers have made instead of pinning a page (rx-copybreak). */

import type { PagePoolStats } from './stats.ts'

/** Payloads of at most this many bytes are copied rather than left to pin a page. */
export const RX_COPYBREAK: number = 16 * 1024

/** Bytes that an engine needs for a copied frag besides its payload, so that tiny frags are bounded too. */
export const COPY_OVERHEAD = 256

/** Counts the copies of one pool, of any kind of memory. */
export class Copies {
  /** Called after each release of a copy while set. */
  onCopyDropped: (() => void) | undefined
  /** True once the pool is shared, and frags of it can be lent. */
  lendable = false
  /** True with `traceLeaks`. */
  readonly tracing: boolean
  /** Counters as `PagePool.stats` has them. */
  readonly copied: { -readonly [Name in keyof PagePoolStats['copied']]: number }
  #fragsOut = 0

  /** @param limit Bytes of copies that may be out before sockets make no more. */
  constructor(limit: number, tracing: boolean) {
    this.copied = { frags: 0, bytes: 0, bytes_out: 0, limit }
    this.tracing = tracing
  }

  /** A copy of that many bytes is made. */
  made(bytes: number): void {
    this.copied.frags++
    this.copied.bytes += bytes
    this.copied.bytes_out += bytes
    this.#fragsOut++
  }

  /** A copy of that many bytes is released. */
  dropped(bytes: number): void {
    this.copied.bytes_out -= bytes
    this.#fragsOut--
    this.onCopyDropped?.()
  }

  /**
   * Bytes of copies that may be made before the limit. Each copy needs {@link COPY_OVERHEAD} besides its
   * payload.
   */
  get copyRoom(): number {
    const { limit, bytes_out } = this.copied
    return limit - bytes_out - this.#fragsOut * COPY_OVERHEAD
  }
}
