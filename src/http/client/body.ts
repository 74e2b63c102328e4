/** Bodies of responses, received into memory or frag by frag. */

import { ConnectionError, isNetmemError } from '../../errors.ts'
import { destinationGone } from '../../net/internal.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { ChunkParser } from './chunk-parser.ts'
import type { BodyFraming } from './framing.ts'
import type { HttpConnection } from './http-connection.ts'

/** Source of a body: a connection of netmem/net, undici, or a decoder. */
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
  /** Drops the bytes that were read already, mostly all bytes of a redirect's body. */
  dropPresent(): void
  /** Resolves with true at the end of the body. Reads more if the end depends on the next bytes. */
  atEnd(): Promise<boolean>
}

/** Returns the body that `framing` delimits on `connection`. */
export function bodyOf(connection: HttpConnection, framing: BodyFraming): Body {
  if (framing.kind === 'length')
    return new FramedBody(connection, new WholeRest(framing.bytes), framing.bytes)
  if (framing.kind === 'chunked') return new FramedBody(connection, new ChunkParser(), undefined)
  return new OpenBody(connection)
}

/** Edges of a body: where its data ends for now, and where it ends. */
interface Edges {
  /** Bytes of data before the next edge. */
  readonly left: number
  /** True if the body is complete. */
  readonly done: boolean
  /** Notes that the caller has taken `bytes` of the {@link left} bytes, at least one. */
  took(bytes: number): void
  /** Consumes an edge from the start of `bytes`, and returns its length. */
  edge(bytes: Uint8Array): number
}

/** Framing of a body of known length. It has no edge but its end. */
class WholeRest implements Edges {
  left: number

  constructor(length: number) {
    this.left = length
  }

  get done(): boolean {
    return this.left === 0
  }

  took(bytes: number): void {
    this.left -= bytes
  }

  edge(): number {
    return 0
  }
}

/** Copies present bytes to `view`, and returns their number. */
function copyPresent(connection: HttpConnection, view: Uint8Array): number {
  const { present } = connection
  if (present === undefined) return 0
  const bytes = Math.min(present.byteLength, view.byteLength)
  view.set(bytes === present.byteLength ? present : present.subarray(0, bytes))
  connection.consume(bytes)
  return bytes
}

/** A body that says where it ends. */
class FramedBody implements Body {
  readonly length: number | undefined
  readonly #connection: HttpConnection
  readonly #edges: Edges
  #received = 0

  constructor(connection: HttpConnection, edges: Edges, length: number | undefined) {
    this.length = length
    this.#connection = connection
    this.#edges = edges
  }

  get left(): number | undefined {
    if (this.length !== undefined) return this.length - this.#received
    return this.#edges.done ? 0 : undefined
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const size = view.byteLength
    let filled = 0
    while (filled < size && !(await this.atEnd())) {
      const rest = view.subarray(filled, filled + this.#edges.left)
      const wanted = rest.byteLength
      const copied = copyPresent(this.#connection, rest)
      this.#took(copied)
      filled += copied
      if (copied > 0) onProgress(filled)
      if (view.byteLength !== size) throw destinationGone(this.#received, this.length ?? size)
      if (copied === wanted) continue
      await this.#fill(rest.subarray(copied), filled, onProgress)
      filled += wanted - copied
    }
    return filled
  }

  /** Posts `rest` for the socket to fill. The `before` bytes in front of it are filled already. */
  async #fill(
    rest: Uint8Array,
    before: number,
    onProgress: (bytes: number) => void,
  ): Promise<void> {
    const wanted = rest.byteLength
    let filled = 0
    try {
      await this.#connection.fill(rest, (bytes) => {
        filled = bytes
        onProgress(before + bytes)
      })
    } catch (error) {
      // The socket counts from the start of its read.
      const received = this.#received + filled
      const code = isNetmemError(error) ? error.code : undefined
      if (code === 'NETMEM_ENDED_EARLY') throw endedEarly(received, this.length)
      if (code !== 'NETMEM_DESTINATION_DETACHED') throw error
      throw destinationGone(received, this.length ?? received + wanted - filled)
    }
    this.#took(wanted)
  }

  async next(): Promise<HostFrag | undefined> {
    if (await this.atEnd()) return undefined
    if (this.#connection.present === undefined && !(await this.#connection.more())) {
      throw endedEarly(this.#received, this.length)
    }
    const frag = this.#connection.takeFrag(this.#edges.left)
    this.#took(frag?.length ?? 0)
    return frag
  }

  dropPresent(): void {
    const edges = this.#edges
    for (let { present } = this.#connection; present !== undefined && !edges.done; ) {
      const data = Math.min(edges.left, present.byteLength)
      this.#took(data)
      this.#connection.consume(data > 0 ? data : edges.edge(present))
      present = this.#connection.present
    }
  }

  async atEnd(): Promise<boolean> {
    while (this.#edges.left === 0 && !this.#edges.done) {
      const { present } = this.#connection
      if (present !== undefined) this.#connection.consume(this.#edges.edge(present))
      else if (!(await this.#connection.more())) throw endedEarly(this.#received, undefined)
    }
    return this.#edges.done
  }

  #took(bytes: number): void {
    if (bytes === 0) return
    this.#edges.took(bytes)
    this.#received += bytes
  }
}

/** A body that ends with its connection. */
class OpenBody implements Body {
  readonly length: undefined
  readonly #connection: HttpConnection
  #ended = false

  constructor(connection: HttpConnection) {
    this.#connection = connection
  }

  get left(): number | undefined {
    return this.#ended ? 0 : undefined
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const copied = copyPresent(this.#connection, view)
    let filled = copied
    if (copied > 0) onProgress(filled)
    if (filled === view.byteLength || this.#ended) return filled
    try {
      await this.#connection.fill(view.subarray(copied), (bytes) => {
        filled = copied + bytes
        onProgress(filled)
      })
    } catch (error) {
      if (!isNetmemError(error) || error.code !== 'NETMEM_ENDED_EARLY') throw error
      this.#ended = true
    }
    return filled
  }

  async next(): Promise<HostFrag | undefined> {
    if (await this.atEnd()) return undefined
    return this.#connection.takeFrag(Number.POSITIVE_INFINITY)
  }

  /** Does nothing: the body ends with its connection. */
  dropPresent(): void {}

  async atEnd(): Promise<boolean> {
    if (this.#connection.present !== undefined) return false
    this.#ended ||= !(await this.#connection.more())
    return this.#ended
  }
}

/** Returns the error of a body that is not complete. */
export function endedEarly(received: number, length: number | undefined): ConnectionError {
  const of = length === undefined ? 'bytes, before the end of the body' : `of ${length} bytes`
  return new ConnectionError('NETMEM_ENDED_EARLY', `The body ended after ${received} ${of}.`)
}
