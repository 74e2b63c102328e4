/**
 * One connection as HTTP reads it: what came with a head or a chunk's edge is copied from a frag,
 * and the rest is read by the socket where it belongs.
 */

import type { Connection, Viewer } from '../../connection.ts'
import { receiveInto } from '../../net/index.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { StallTimer } from './stall-timer.ts'

export class HttpConnection implements Viewer {
  readonly transport: Connection
  /** Its one timer, for whatever it waits for. */
  readonly timer: StallTimer = new StallTimer()
  /** How long connecting took, TLS included, and TLS alone; 0 once it has been used. */
  connectMs: number
  tlsMs: number
  /** Whether it has carried an exchange before. */
  reused = false
  #frag: HostFrag | undefined
  #at = 0
  #disturbed: (() => void) | undefined

  constructor(transport: Connection, connectMs: number, tlsMs: number) {
    this.transport = transport
    this.connectMs = connectMs
    this.tlsMs = tlsMs
  }

  /** Bytes that have been read and not been taken; `undefined` when there are none. */
  get present(): Uint8Array | undefined {
    if (this.#frag === undefined) {
      this.#frag = this.transport.receivers.takeArrived()
      this.#at = 0
    }
    const frag = this.#frag
    if (frag === undefined) return undefined
    return this.#at === 0 ? frag.bytes : frag.bytes.subarray(this.#at)
  }

  /** Reads more, when nothing is {@link present}; false at the end of the stream. */
  async more(): Promise<boolean> {
    this.#frag = await this.transport.receive()
    this.#at = 0
    return this.#frag !== undefined
  }

  /** Shows what arrives to `viewer` until {@link hide}; nothing may be {@link present}. */
  show(viewer: Viewer): void {
    this.transport.receivers.show(viewer)
  }

  /** What arrives from now on is read with {@link more} and {@link fill}. */
  hide(): void {
    this.transport.receivers.hide()
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
    await receiveInto(this.transport, view, { onProgress })
  }

  /** Whether it is fit for another exchange: all that came belonged to the last one. */
  get clean(): boolean {
    return this.present === undefined && this.transport.state.kind === 'open'
  }

  /**
   * Waits for what an idle connection has no business to send, or for its end, and calls
   * `disturbed` then, which destroys it; or when `idleTimeoutMs` are over. The next exchange takes over the read.
   */
  park(idleTimeoutMs: number, disturbed: () => void): void {
    this.reused = true
    this.connectMs = 0
    this.tlsMs = 0
    this.#disturbed = disturbed
    this.timer.rest(idleTimeoutMs, disturbed)
    this.transport.unref()
    this.show(this)
  }

  /** The next exchange begins. */
  unpark(): void {
    this.#disturbed = undefined
    this.transport.ref()
  }

  /** Something arrived while it rests. */
  view(): number {
    this.#disturbed?.()
    return 0
  }

  /** It ended while it rests. */
  viewEnded(): void {
    this.#disturbed?.()
  }

  /** Ends it, and gives back what it holds. */
  destroy(reason?: Error): void {
    this.timer.stop()
    this.#frag?.release()
    this.#frag = undefined
    this.transport.destroy(reason)
  }
}
