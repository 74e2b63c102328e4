/** Bodies into the caller's memory. */

import { ArgumentRangeError, ArgumentTypeError, checkInteger } from '../../errors.ts'
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
  readonly claim: undefined
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
  #length: number | undefined
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
    this.#length = length
    this.#digest?.drop()
    this.#digest = this.#settings.sha256 ? new MemoryDigest(view, length) : undefined
  }

  async receive(body: Body): Promise<void> {
    const size = this.#size
    const { onProgress, touchAhead } = this.#settings
    const digest = this.#digest
    const window = this.#window
    for (;;) {
      const base = this.#position
      const part = this.#intact().subarray(base, Math.min(size, base + window))
      const progress = (filled: number): void => {
        this.#position = base + filled
        digest?.advance(this.#position)
        onProgress?.(this.#position)
      }
      const bytes = await readTouched(body, part, progress, touchAhead)
      // Bytes that came after the view was detached were not copied.
      this.#intact()
      this.#position = base + bytes
      if (bytes < part.byteLength || this.#position === size || body.left === 0) break
      await this.#limiter.after(bytes, this.#abort.signal)
    }
    if (!(await body.atEnd())) {
      throw new ArgumentRangeError(
        'NETMEM_DESTINATION_TOO_SMALL',
        `The body is larger than the destination of ${size} bytes.`,
      )
    }
  }

  async receiveAt(
    body: Body,
    at: number,
    length: number,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    checkInteger('at', at, 0, this.#size - length)
    const window = this.#window
    for (let done = 0; done < length; ) {
      const before = done
      const part = this.#intact().subarray(at + before, at + Math.min(length, before + window))
      const progress = (filled: number): void => onBytes(before + filled)
      const bytes = await readTouched(body, part, progress, this.#settings.touchAhead)
      this.#intact()
      done += bytes
      if (bytes < part.byteLength) return
      // All ranges share one limiter.
      if (this.#limiter.limits) await this.#limiter.after(bytes, this.#abort.signal)
    }
  }

  reached(position: number): void {
    this.#position = position
    this.#digest?.advance(position)
  }

  async restart(): Promise<void> {
    this.#position = 0
    this.#digest?.drop()
    // The new body is hashed from its start.
    if (this.#digest !== undefined) this.#digest = new MemoryDigest(this.#intact(), this.#length)
  }

  async digest(): Promise<string | undefined> {
    this.#intact()
    const hex = await this.#digest?.hex(this.#position)
    this.#intact()
    return hex
  }

  async commit(): Promise<void> {}

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

  /** Bytes to receive before the limiter is asked again. */
  get #window(): number {
    return this.#limiter.limits ? this.#limiter.burst : Number.POSITIVE_INFINITY
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
