/** Bodies of responses, received into memory or frag by frag. */

import { ConnectionError } from '../../errors.ts'
import { destinationGone } from '../../net/internal.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { ChunkParser } from './chunk-parser.ts'
import type { BodyFraming } from './framing.ts'
import type { HttpConnection } from './http-connection.ts'
import type { RateLimiter } from './rate-limiter.ts'

/** Source of a body: a connection, a decoder, or a part of another body. */
export interface Body {
  /** Bytes of the body, or `undefined` where the head does not say it. */
  readonly length: number | undefined
  /** Bytes that are left, or `undefined` where that is not known yet. */
  readonly left: number | undefined
  /**
   * Fills `view`, or as much of it as the body has, and resolves with the number of bytes.
   * `onProgress` gets the number so far, which also holds if the call rejects.
   */
  readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number>
  /** Resolves with the next frag, or `undefined` at the end of the body. The caller releases the frag. */
  next(): Promise<HostFrag | undefined>
  /** Resolves with true at the end of the body. Reads more if the end depends on the next bytes. */
  atEnd(): Promise<boolean>
}

/** A body as it comes over a connection. */
export class FramedBody implements Body {
  readonly length: number | undefined
  readonly #connection: HttpConnection
  /** Parser of a chunked body. */
  readonly #chunks: ChunkParser | undefined
  /** Bytes of data before the next edge. Infinity until the connection ends, if that ends the body. */
  readonly #data: { left: number }
  readonly #limiter: RateLimiter | undefined
  #received = 0

  constructor(connection: HttpConnection, framing: BodyFraming, limiter?: RateLimiter) {
    this.length = framing.kind === 'length' ? framing.bytes : undefined
    this.#connection = connection
    this.#limiter = limiter
    this.#chunks = framing.kind === 'chunked' ? new ChunkParser() : undefined
    this.#data = this.#chunks ?? { left: this.length ?? Number.POSITIVE_INFINITY }
  }

  get left(): number | undefined {
    return this.length === undefined && !this.#isDone ? undefined : this.#data.left
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const size = view.byteLength
    const burst = this.#limiter?.burst ?? size
    let filled = 0
    while (filled < size && !(await this.atEnd())) {
      if (this.#limiter !== undefined) await this.#limiter.turn()
      const to = Math.min(size, filled + this.#data.left, filled + burst)
      const copied = this.#copyPresent(view.subarray(filled, to))
      filled += copied
      if (copied > 0) onProgress(filled)
      if (view.byteLength !== size) throw destinationGone(this.#received, this.length ?? size)
      if (filled < to) filled += await this.#fill(view.subarray(filled, to), filled, onProgress)
    }
    return filled
  }

  async next(): Promise<HostFrag | undefined> {
    if (await this.atEnd()) return undefined
    if (this.#limiter !== undefined) await this.#limiter.turn()
    if (this.#connection.present === undefined) await this.#more()
    const frag = this.#connection.takeFrag(this.#data.left)
    this.#took(frag?.length ?? 0)
    return frag
  }

  async atEnd(): Promise<boolean> {
    while (!this.#isDone && (this.#data.left === 0 || this.#endsWithConnection)) {
      const { present } = this.#connection
      if (present === undefined) await this.#more()
      else if (this.#endsWithConnection) return false
      else this.#takeEdge(present)
    }
    return this.#isDone
  }

  /** Drops the bytes that were read already, mostly all bytes of a redirect's body. */
  dropPresent(): void {
    let { present } = this.#connection
    while (present !== undefined && !this.#isDone) {
      const data = Math.min(this.#data.left, present.byteLength)
      this.#took(data)
      this.#connection.consume(data)
      if (data === 0) this.#takeEdge(present)
      present = this.#connection.present
    }
  }

  get #isDone(): boolean {
    return this.#chunks?.done ?? this.#data.left === 0
  }

  get #endsWithConnection(): boolean {
    return this.#data.left === Number.POSITIVE_INFINITY
  }

  #takeEdge(present: Uint8Array): void {
    if (this.#chunks !== undefined) this.#connection.consume(this.#chunks.edge(present))
  }

  #took(bytes: number): void {
    this.#data.left -= bytes
    this.#received += bytes
    this.#limiter?.took(bytes)
  }

  /** Copies present bytes to `view`, and returns their number. */
  #copyPresent(view: Uint8Array): number {
    const { present } = this.#connection
    if (present === undefined) return 0
    const bytes = Math.min(present.byteLength, view.byteLength)
    view.set(bytes === present.byteLength ? present : present.subarray(0, bytes))
    this.#connection.consume(bytes)
    this.#took(bytes)
    return bytes
  }

  /** Lets the socket fill `view`, in front of which `before` bytes are filled already. */
  async #fill(
    view: Uint8Array,
    before: number,
    onProgress: (bytes: number) => void,
  ): Promise<number> {
    const bytes = await this.#connection.fill(view, (more) => onProgress(before + more))
    this.#took(bytes)
    if (bytes < view.byteLength) this.#ended()
    return bytes
  }

  async #more(): Promise<void> {
    if (!(await this.#connection.more())) this.#ended()
  }

  /** Notes the end of the connection, which is the end of the body or a break. */
  #ended(): void {
    if (!this.#endsWithConnection) throw endedEarly(this.#received, this.length)
    this.#data.left = 0
  }
}

/** Returns the error of a body that is not complete. */
export function endedEarly(received: number, length: number | undefined): ConnectionError {
  const of = length === undefined ? 'bytes, before the end of the body' : `of ${length} bytes`
  return new ConnectionError('NETMEM_ENDED_EARLY', `The body ended after ${received} ${of}.`)
}
