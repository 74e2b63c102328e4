/** Bodies into the pages of a pool, handed to a function frag by frag. */

import type { Page } from '../../netmem.ts'
import type { HostFrag } from '../../pool/frag.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { AbortScope } from '../client/abort-scope.ts'
import type { Body } from '../client/body.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { streamDigest } from './digest/digest.ts'
import type { StreamDigest } from './digest/hash-thread.ts'
import type { Entity } from './entity.ts'
import { RateLimiter } from './rate-limiter.ts'
import type { Settings } from './settings.ts'
import type { Target } from './target.ts'

/**
 * A pool, and the function that gets each frag and releases it. The next frag comes when the returned
 * promise has resolved. `position` is the place of the frag's first byte in the body.
 */
export interface FragDestination {
  /** Pool that the body is received into. */
  readonly pool: PagePool<Page>
  /** Gets each frag, and releases it. */
  readonly onFrag: (frag: HostFrag, position: number) => void | Promise<void>
}

export class PoolTarget implements Target {
  readonly pool: PagePool<Page>
  readonly holdsFrags = true
  readonly #destination: FragDestination
  readonly #settings: Settings
  readonly #abort: AbortScope
  readonly #limiter: RateLimiter
  #digest: StreamDigest | undefined
  #position = 0

  constructor(destination: FragDestination, settings: Settings, abort: AbortScope) {
    this.pool = destination.pool
    this.#destination = destination
    this.#settings = settings
    this.#abort = abort
    this.#limiter = new RateLimiter(settings.maxBytesPerSecond)
  }

  get position(): number {
    return this.#position
  }

  async open(_head: ResponseHead, { length }: Entity): Promise<void> {
    // An earlier attempt may have begun a digest.
    this.#digest?.drop()
    this.#digest = this.#settings.sha256 ? streamDigest(length) : undefined
  }

  async receive(body: Body): Promise<void> {
    for (;;) {
      const frag = await body.next()
      if (frag === undefined) return
      await this.#pass(frag)
    }
  }

  /** Frags that were handed out cannot be taken back. */
  get canRestart(): boolean {
    return this.#position === 0
  }

  async restart(): Promise<void> {}

  async digest(): Promise<string | undefined> {
    return this.#digest?.hex()
  }

  async fail(): Promise<void> {
    this.#digest?.drop()
  }

  async #pass(frag: HostFrag): Promise<void> {
    const { length } = frag
    if (this.#digest !== undefined) await this.#digest.update(frag.bytes)
    const position = this.#position
    // The callee owns the frag from this call on, even if it throws.
    this.#position = position + length
    const taken = this.#destination.onFrag(frag, position)
    if (taken !== undefined) await taken
    this.#settings.onProgress?.(this.#position)
    if (this.#limiter.limits) await this.#limiter.after(length, this.#abort.signal)
  }
}
