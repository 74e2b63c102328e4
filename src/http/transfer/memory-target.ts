/** Bodies into the caller's memory. */

import { ArgumentRangeError, ArgumentTypeError } from '../../errors.ts'
import { destinationGone, destinationView } from '../../net/internal.ts'
import type { Page } from '../../netmem.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { Body } from '../client/body.ts'
import type { ResponseHead } from '../client/response-head.ts'
import { MemoryDigest } from './digest/digest.ts'
import type { Entity } from './entity.ts'
import { headPool } from './head-pool.ts'
import type { Settings } from './settings.ts'
import type { Arrived, Target } from './target.ts'
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

export class MemoryTarget implements Target {
  readonly pool: PagePool<Page> = headPool()
  readonly holdsFrags = false
  readonly seekable = true
  readonly #settings: Settings
  readonly #make: MakeMemory | undefined
  #view: Uint8Array | undefined
  /** Bytes of the view at the start, to notice that it was detached or shrunk. */
  #size = 0
  #position = 0
  #digest: MemoryDigest | undefined

  constructor(destination: Memory | MakeMemory, settings: Settings) {
    this.#settings = settings
    this.#make = typeof destination === 'function' ? destination : undefined
    if (typeof destination !== 'function') this.#use(destination)
  }

  takeWhole(body: Uint8Array): boolean {
    const view = this.#view
    const isIntact = view !== undefined && view.byteLength === this.#size
    if (!isIntact || body.byteLength > this.#size || !this.#needsNoCall) return false
    view.set(body)
    return true
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

  async receive(body: Body, at: number, arrived: Arrived): Promise<void> {
    const rest = this.#intact().subarray(at)
    try {
      const { touchAhead } = this.#settings
      await readTouched(body, rest, (bytes) => arrived(at + bytes), touchAhead)
    } finally {
      // Bytes that came after the view was detached were not copied.
      this.#intact()
    }
    if (!(await body.atEnd())) {
      throw new ArgumentRangeError(
        'NETMEM_DESTINATION_TOO_SMALL',
        `The body is larger than the destination of ${this.#size} bytes.`,
      )
    }
  }

  reached(position: number): void {
    this.#position = position
    this.#digest?.advance(position)
  }

  async digest(bytes: number): Promise<string | undefined> {
    this.#intact()
    const hex = await this.#digest?.hex(bytes)
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
    return this.#make === undefined && !isTold && !sha256
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
