/** Bodies of responses, received into memory or frag by frag. */

import { ConnectionError, isNetmemError } from '../../errors.ts'
import { destinationGone } from '../../net/internal.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { ChunkParser } from './chunk-parser.ts'
import type { BodyFraming } from './framing.ts'
import type { HttpConnection } from './http-connection.ts'

/** Source of a body: a connection of netmem/net, undici, or a decoder. */
export interface Body {
  /** Bytes of the body; `undefined` where the head does not say it. */
  readonly length: number | undefined
  /** Bytes that are left; `undefined` where that is not known yet. */
  readonly left: number | undefined
  /**
   * Fills `view`, or as much of it as the body has, and resolves with the number of bytes.
   * `onProgress` gets the number so far, which also holds if the call rejects.
   */
  readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number>
  /** Resolves with the next frag, which the caller releases; `undefined` at the end of the body. */
  next(): Promise<HostFrag | undefined>
  /** Drops the bytes that were read already. Of a redirect's body these are mostly all. */
  dropPresent(): void
  /** Resolves with true if nothing is left. Reads on where only the next bytes tell. */
  atEnd(): Promise<boolean>
}

/** Returns the body that `framing` delimits on `connection`. */
export function bodyOf(connection: HttpConnection, framing: BodyFraming): Body {
  if (framing.kind === 'length') return new KnownBody(connection, framing.bytes)
  return framing.kind === 'chunked' ? new ChunkedBody(connection) : new OpenBody(connection)
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

class KnownBody implements Body {
  readonly length: number
  readonly #connection: HttpConnection
  #left: number

  constructor(connection: HttpConnection, length: number) {
    this.length = length
    this.#connection = connection
    this.#left = length
  }

  get left(): number {
    return this.#left
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const size = view.byteLength
    const wanted = Math.min(size, this.#left)
    const copied = copyPresent(this.#connection, view.subarray(0, wanted))
    this.#left -= copied
    if (copied > 0) onProgress(copied)
    if (view.byteLength !== size) throw destinationGone(this.length - this.#left, this.length)
    if (copied < wanted) {
      let filled = 0
      try {
        await this.#connection.fill(view.subarray(copied, wanted), (bytes) => {
          filled = bytes
          onProgress(copied + bytes)
        })
      } catch (error) {
        throw this.#ofBody(error, filled)
      }
      this.#left -= wanted - copied
    }
    return wanted
  }

  /** Returns `error` with the position in the body. The socket counts from the start of its read. */
  #ofBody(error: unknown, filled: number): unknown {
    const received = this.length - this.#left + filled
    const code = isNetmemError(error) ? error.code : undefined
    if (code === 'NETMEM_ENDED_EARLY') return endedEarly(received, this.length)
    return code === 'NETMEM_DESTINATION_DETACHED' ? destinationGone(received, this.length) : error
  }

  async next(): Promise<HostFrag | undefined> {
    if (this.#left === 0) return undefined
    if (this.#connection.present === undefined && !(await this.#connection.more())) {
      throw endedEarly(this.length - this.#left, this.length)
    }
    const frag = this.#connection.takeFrag(this.#left)
    this.#left -= frag?.length ?? 0
    return frag
  }

  dropPresent(): void {
    const bytes = Math.min(this.#left, this.#connection.present?.byteLength ?? 0)
    this.#connection.consume(bytes)
    this.#left -= bytes
  }

  async atEnd(): Promise<boolean> {
    return this.#left === 0
  }
}

class ChunkedBody implements Body {
  readonly length: undefined
  readonly #connection: HttpConnection
  readonly #framing = new ChunkParser()
  #received = 0

  constructor(connection: HttpConnection) {
    this.#connection = connection
  }

  get left(): number | undefined {
    return this.#framing.done ? 0 : undefined
  }

  async readInto(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    const size = view.byteLength
    let filled = 0
    while (filled < size && !(await this.atEnd())) {
      const rest = view.subarray(filled, filled + this.#framing.left)
      const copied = copyPresent(this.#connection, rest)
      this.#took(copied)
      filled += copied
      const wanted = rest.byteLength
      if (copied > 0) onProgress(filled)
      if (view.byteLength !== size) throw destinationGone(this.#received, size)
      if (copied === wanted) continue
      const before = filled
      await this.#connection.fill(rest.subarray(copied), (bytes) => onProgress(before + bytes))
      this.#took(wanted - copied)
      filled += wanted - copied
    }
    return filled
  }

  async next(): Promise<HostFrag | undefined> {
    if (await this.atEnd()) return undefined
    if (this.#connection.present === undefined && !(await this.#connection.more())) {
      throw endedEarly(this.#received, undefined)
    }
    const frag = this.#connection.takeFrag(this.#framing.left)
    this.#took(frag?.length ?? 0)
    return frag
  }

  dropPresent(): void {
    const framing = this.#framing
    for (let { present } = this.#connection; present !== undefined && !framing.done; ) {
      const data = Math.min(framing.left, present.byteLength)
      this.#took(data)
      this.#connection.consume(data > 0 ? data : framing.edge(present))
      present = this.#connection.present
    }
  }

  async atEnd(): Promise<boolean> {
    while (this.#framing.left === 0 && !this.#framing.done) {
      const { present } = this.#connection
      if (present !== undefined) this.#connection.consume(this.#framing.edge(present))
      else if (!(await this.#connection.more())) throw endedEarly(this.#received, undefined)
    }
    return this.#framing.done
  }

  #took(bytes: number): void {
    if (bytes === 0) return
    this.#framing.took(bytes)
    this.#received += bytes
  }
}

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
