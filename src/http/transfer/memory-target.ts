/** Bodies into the caller's memory. */

import { ArgumentRangeError, ArgumentTypeError } from '../../errors.ts'
import { destinationGone, destinationView } from '../../net/internal.ts'
import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { AbortScope } from '../client/abort-scope.ts'
import type { Body } from '../client/body.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { MemoryDigest } from './digest/digest.ts'
import type { Entity } from './entity.ts'
import { headPool } from './head-pool.ts'
import { RateLimiter } from './rate-limiter.ts'
import type { Settings } from './settings.ts'
import type { RangeTarget, Target } from './target.ts'
import { readTouched } from './touch-ahead.ts'

/** Memory that bodies can be received into. */
export type Memory = Uint8Array | ArrayBufferLike

/**
 * Returns memory for a body. `length` counts the body's bytes, if the server says it. Called again when
 * the body begins anew. The memory of the call before is then out of use.
 */
export type MakeMemory = (
  head: ResponseHead,
  length: number | undefined,
) => Memory | Promise<Memory>

export class MemoryTarget implements Target, RangeTarget {
  readonly pool: PagePool<Page> = headPool()
  readonly holdsFrags = false
  readonly canRestart = true
  readonly ranges: RangeTarget = this
  readonly takeWhole: ((body: Uint8Array) => boolean) | undefined
  readonly #settings: Settings
  readonly #abort: AbortScope
  readonly #limiter: RateLimiter
  readonly #make: MakeMemory | undefined
  #view: Uint8Array | undefined
  /** Bytes of the view at the start, to notice that it was detached or shrunk. */
  #size = 0
  #position = 0
  #digest: MemoryDigest | undefined

  constructor(destination: Memory | MakeMemory, settings: Settings, abort: AbortScope) {
    this.#settings = settings
    this.#abort = abort
    this.#limiter = new RateLimiter(settings.maxBytesPerSecond)
    this.#make = typeof destination === 'function' ? destination : undefined
    if (typeof destination !== 'function') this.#use(destination)
    this.takeWhole = this.#needsNoCall ? (body) => this.#takeWhole(body) : undefined
  }

  get position(): number {
    return this.#position
  }

  async open(head: ResponseHead, { length }: Entity): Promise<void> {
    if (this.#make !== undefined) this.#use(await this.#make(head, length))
    const view = this.#intact()
    if (length !== undefined && length > this.#size) {
      throw new ArgumentRangeError(
        'NETMEM_DESTINATION_TOO_SMALL',
        `The body has ${length} bytes, which do not fit a destination of ${this.#size}.`,
      )
    }
    this.#digest?.drop()
    this.#digest = this.#settings.sha256 ? new MemoryDigest(view, length) : undefined
  }

  async receive(body: Body): Promise<void> {
    const from = this.#position
    const { onProgress } = this.#settings
    await this.#fill(body, from, this.#size, (bytes) => {
      this.reached(from + bytes)
      onProgress?.(from + bytes)
    })
    if (!(await body.atEnd())) {
      throw new ArgumentRangeError(
        'NETMEM_DESTINATION_TOO_SMALL',
        `The body is larger than the destination of ${this.#size} bytes.`,
      )
    }
  }

  receiveAt(
    body: Body,
    at: number,
    length: number,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    return this.#fill(body, at, at + length, onBytes)
  }

  reached(position: number): void {
    this.#position = position
    this.#digest?.advance(position)
  }

  async restart(): Promise<void> {
    this.#position = 0
    this.#digest?.drop()
  }

  async digest(): Promise<string | undefined> {
    this.#intact()
    const hex = await this.#digest?.hex(this.#position)
    this.#intact()
    return hex
  }

  async fail(): Promise<void> {
    this.#digest?.drop()
  }

  /** True unless a function of the caller or a digest has to see the body. */
  get #needsNoCall(): boolean {
    const { onHead, onProgress, sha256 } = this.#settings
    const isTold = onHead !== undefined || onProgress !== undefined
    return this.#make === undefined && !isTold && !sha256 && !this.#limiter.limits
  }

  #takeWhole(body: Uint8Array): boolean {
    const view = this.#view
    const bytes = body.byteLength
    if (view === undefined || view.byteLength !== this.#size || bytes > this.#size) return false
    view.set(body)
    this.#position = bytes
    return true
  }

  /** Fills bytes `from` to `to` from `body`, which may have fewer. */
  async #fill(
    body: Body,
    from: number,
    to: number,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    for (let at = from; at < to; ) {
      const before = at - from
      const part = this.#intact().subarray(at, Math.min(to, at + this.#limiter.burst))
      const progress = (bytes: number): void => onBytes(before + bytes)
      let bytes = 0
      try {
        bytes = await readTouched(body, part, progress, this.#settings.touchAhead)
      } finally {
        // Bytes that came after the view was detached were not copied.
        this.#intact()
      }
      if (bytes < part.byteLength) return
      at += bytes
      // All ranges share one limiter.
      if (this.#limiter.limits) await this.#limiter.after(bytes, this.#abort.signal)
    }
  }

  #use(memory: Memory): void {
    this.#view = destinationView(memory, undefined)
    this.#size = this.#view.byteLength
  }

  #intact(): Uint8Array {
    const view = this.#view
    if (view === undefined) {
      throw new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', 'There is no destination.')
    }
    if (view.byteLength !== this.#size) throw destinationGone(this.#position, this.#size)
    return view
  }
}
