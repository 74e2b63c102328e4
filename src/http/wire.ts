/**
 * One connection as HTTP reads it: what came with a head or a chunk's edge is copied from a frag,
 * and the rest is read by the socket where it belongs.
 */

import type { Connection } from '../net/index.ts'
import { receiveInto } from '../net/index.ts'
import type { HostFrag } from '../pool/frag.ts'

export class Wire {
  readonly connection: Connection
  /** How long connecting took, TLS included, and TLS alone; 0 once it has been used. */
  connectMs: number
  tlsMs: number
  /** Whether it has carried an exchange before. */
  reused = false
  #frag: HostFrag | undefined
  #at = 0
  #next: Promise<HostFrag | undefined> | undefined

  constructor(connection: Connection, connectMs: number, tlsMs: number) {
    this.connection = connection
    this.connectMs = connectMs
    this.tlsMs = tlsMs
  }

  /** Bytes that have been read and not been taken; `undefined` when there are none. */
  get present(): Uint8Array | undefined {
    const frag = this.#frag
    if (frag === undefined) return undefined
    return this.#at === 0 ? frag.bytes : frag.bytes.subarray(this.#at)
  }

  /** Reads more, when nothing is {@link present}; false at the end of the stream. */
  async more(): Promise<boolean> {
    const next = this.#next ?? this.connection.receive()
    this.#next = undefined
    this.#frag = await next
    this.#at = 0
    return this.#frag !== undefined
  }

  /** Takes bytes of what is {@link present}. */
  skip(bytes: number): void {
    const frag = this.#frag
    if (frag === undefined) return
    this.#at += bytes
    if (this.#at < frag.length) return
    this.#frag = undefined
    frag.release()
  }

  /** Takes what is {@link present}, at most `limit` bytes of it, as a frag of its own. */
  takeFrag(limit: number): HostFrag | undefined {
    const frag = this.#frag
    if (frag === undefined) return undefined
    if (this.#at === 0 && frag.length <= limit) {
      this.#frag = undefined
      return frag
    }
    const part = frag.slice(this.#at, Math.min(frag.length, this.#at + limit))
    this.skip(part.length)
    return part
  }

  /** Lets the socket fill `view`; nothing may be {@link present}. */
  async fill(view: Uint8Array, onProgress: (bytes: number) => void): Promise<void> {
    await receiveInto(this.connection, view, { onProgress })
  }

  /** Whether it is fit for another exchange: all that came belonged to the last one. */
  get clean(): boolean {
    return this.#frag === undefined && this.connection.state.kind === 'open'
  }

  /**
   * Waits for what an idle connection has no business to send, or for its end, and calls
   * `disturbed` then. The next exchange takes over the same read.
   */
  park(disturbed: () => void): void {
    this.reused = true
    this.connectMs = 0
    this.tlsMs = 0
    const next = this.connection.receive()
    this.#next = next
    next.then(disturbed, disturbed)
    this.connection.unref()
  }

  /** Ends it, and gives back what it holds. */
  destroy(reason?: Error): void {
    const next = this.#next
    this.#next = undefined
    next?.then(
      (frag) => frag?.release(),
      () => {},
    )
    this.#frag?.release()
    this.#frag = undefined
    this.connection.destroy(reason)
  }
}
