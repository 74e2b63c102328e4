/** Bodies into the pages of a pool, handed to a function frag by frag. */

import type { Page } from '../../netmem.ts'
import type { HostFrag } from '../../pool/frag.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { Body } from '../client/body.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { streamDigest } from './digest/digest.ts'
import type { StreamDigest } from './digest/hash-thread.ts'
import type { Entity } from './entity.ts'
import type { Settings } from './settings.ts'
import type { Arrived, Target } from './target.ts'

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
  readonly seekable = false
  readonly #destination: FragDestination
  readonly #settings: Settings
  #digest: StreamDigest | undefined

  constructor(destination: FragDestination, settings: Settings) {
    this.pool = destination.pool
    this.#destination = destination
    this.#settings = settings
  }

  async open(_head: ResponseHead, { length }: Entity): Promise<void> {
    // An earlier attempt may have begun a digest.
    this.#digest?.drop()
    this.#digest = this.#settings.sha256 ? streamDigest(length) : undefined
  }

  async receive(body: Body, at: number, arrived: Arrived): Promise<void> {
    let position = at
    for (;;) {
      const frag = await body.next()
      if (frag === undefined) return
      const { length } = frag
      if (this.#digest !== undefined) await this.#digest.update(frag.bytes)
      try {
        const taken = this.#destination.onFrag(frag, position)
        if (taken !== undefined) await taken
      } finally {
        // The callee owns the frag, even if it throws.
        position += length
        arrived(position)
      }
    }
  }

  async digest(): Promise<string | undefined> {
    return this.#digest?.hex()
  }

  async fail(): Promise<void> {
    this.#digest?.drop()
  }
}
