/** A body of chunks that come in memory of a decoder, and are copied out of it. */

import { LifetimeError } from '../../errors.ts'
import { Interruption, unlessAborted } from '../../net/internal.ts'
import { ChunkFrags } from '../../net/receivers/chunk-frags.ts'
import type { Page } from '../../netmem.ts'
import type { HostFrag } from '../../pool/frag.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { dryTimeout } from '../http-error.ts'
import type { Body } from './body.ts'
import type { ExchangeContext } from './exchange.ts'

export class CopiedBody implements Body {
  readonly length: number | undefined
  /** A decoder does not say how much it will yield. */
  readonly left: undefined
  readonly #chunks: AsyncIterator<Uint8Array, void>
  readonly #pool: PagePool<Page>
  readonly #frags: ChunkFrags
  readonly #stallTimeoutMs: number
  readonly #signal: AbortSignal
  #chunk: Uint8Array = new Uint8Array(0)
  /** Bytes that have been taken so far. */
  received = 0
  #ended = false
  readonly #interruption = new Interruption()

  constructor(
    chunks: AsyncIterator<Uint8Array, void>,
    length: number | undefined,
    pool: PagePool<Page>,
    { abort, settings }: ExchangeContext,
  ) {
    this.length = length
    this.#frags = new ChunkFrags(pool)
    this.#stallTimeoutMs = settings.stallTimeoutMs
    this.#chunks = chunks
    this.#pool = pool
    this.#signal = abort.signal
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    let filled = 0
    while (filled < view.byteLength && !(await this.atEnd())) {
      const part = this.#take(view.byteLength - filled)
      view.set(part, filled)
      filled += part.byteLength
      onProgress(filled)
    }
    return filled
  }

  async next(): Promise<HostFrag | undefined> {
    if (await this.#interruption.until(this.atEnd())) return undefined
    let frag = this.#frags.take(this.#chunk)
    while (frag === undefined) {
      await this.#untilAvailable()
      frag = this.#frags.take(this.#chunk)
    }
    this.#take(frag.length)
    return frag
  }

  async atEnd(): Promise<boolean> {
    while (this.#chunk.byteLength === 0 && !this.#ended) {
      const { value } = await this.#chunks.next()
      if (value === undefined) this.#ended = true
      else this.#chunk = value
    }
    return this.#chunk.byteLength === 0
  }

  /** Drops the body, and ends a wait for memory. Another range may have ended this one. */
  drop(): void {
    this.#frags.end()
    const message = 'The body was dropped; get it again.'
    this.#interruption.interrupt(new LifetimeError('NETMEM_CONNECTION_CLOSED', message))
  }

  /** Waits for memory, which may never come back. */
  async #untilAvailable(): Promise<void> {
    const limit = this.#stallTimeoutMs
    const expired = (): void => this.#interruption.interrupt(dryTimeout(this.#pool, limit))
    const timer = setTimeout(expired, limit)
    const available = unlessAborted(this.#frags.whenAvailable(), this.#signal)
    try {
      await this.#interruption.until(available)
    } finally {
      clearTimeout(timer)
    }
  }

  #take(limit: number): Uint8Array {
    const part = this.#chunk.subarray(0, limit)
    this.#chunk = this.#chunk.subarray(part.byteLength)
    this.received += part.byteLength
    return part
  }
}
