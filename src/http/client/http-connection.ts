/**
 * One connection as HTTP reads it. Bytes that came with a head or a chunk's edge are copied from a
 * frag. The socket reads the rest straight into place.
 */

import type { Connection, Viewer } from '../../connection.ts'
import { receiveInto } from '../../net/index.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { StallTimer } from './stall-timer.ts'

export class HttpConnection implements Viewer {
  readonly transport: Connection
  /** The connection's only timer. */
  readonly timer: StallTimer = new StallTimer()
  /** Milliseconds of connecting, TLS included, or 0 after the first exchange. */
  connectMs: number
  /** Milliseconds of the TLS handshake, or 0 after the first exchange. */
  tlsMs: number
  /** True if it has carried an exchange before. */
  reused = false
  #frag: HostFrag | undefined
  #at = 0
  #disturbed: (() => void) | undefined

  constructor(transport: Connection, connectMs: number, tlsMs: number) {
    this.transport = transport
    this.connectMs = connectMs
    this.tlsMs = tlsMs
  }

  /** Bytes that were read and not taken, or `undefined` if there are none. */
  get present(): Uint8Array | undefined {
    if (this.#frag === undefined) {
      this.#frag = this.transport.receivers.takeArrived()
      this.#at = 0
    }
    const frag = this.#frag
    if (frag === undefined) return undefined
    return this.#at === 0 ? frag.bytes : frag.bytes.subarray(this.#at)
  }

  /** Reads more when nothing is {@link present}. Resolves with false at the end of the stream. */
  async more(): Promise<boolean> {
    this.#frag = await this.transport.receive()
    this.#at = 0
    return this.#frag !== undefined
  }

  /** Shows arriving bytes to `viewer` until {@link hide}. Nothing may be {@link present}. */
  show(viewer: Viewer): void {
    this.transport.receivers.show(viewer)
  }

  /** Ends {@link show}: {@link more} and {@link fill} read the bytes that arrive from now on. */
  hide(): void {
    this.transport.receivers.hide()
  }

  /** Drops the first `bytes` of the {@link present} bytes. */
  consume(bytes: number): void {
    const frag = this.#frag
    if (frag === undefined) return
    this.#at += bytes
    if (this.#at < frag.length) return
    this.#frag = undefined
    frag.release()
  }

  /** Takes at most `limit` of the {@link present} bytes as a frag. */
  takeFrag(limit: number): HostFrag | undefined {
    const frag = this.#frag
    if (frag === undefined) return undefined
    if (this.#at === 0 && frag.length <= limit) {
      this.#frag = undefined
      return frag
    }
    const part = frag.slice(this.#at, Math.min(frag.length, this.#at + limit))
    this.consume(part.length)
    return part
  }

  /** Lets the socket fill `view`. Nothing may be {@link present}. */
  async fill(view: Uint8Array, onProgress: (bytes: number) => void): Promise<void> {
    await receiveInto(this.transport, view, { onProgress })
  }

  /** True if it can carry another exchange: all bytes that arrived belonged to the last one. */
  get clean(): boolean {
    return this.present === undefined && this.transport.state.kind === 'open'
  }

  /**
   * Rests until the next exchange. Calls `disturbed`, which destroys it, when the server sends bytes or
   * ends the connection, or after `idleTimeoutMs`.
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

  /** Ends {@link park} for the next exchange. */
  unpark(): void {
    this.#disturbed = undefined
    this.transport.ref()
  }

  /** Bytes arrived while it rests. */
  view(): number {
    this.#disturbed?.()
    return 0
  }

  /** Notes that the connection ended at rest. */
  viewEnded(): void {
    this.#disturbed?.()
  }

  /** Ends the connection, and releases the frag that it holds. */
  destroy(reason?: Error): void {
    this.timer.stop()
    this.#frag?.release()
    this.#frag = undefined
    this.transport.destroy(reason)
  }
}
