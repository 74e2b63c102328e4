/**
 * One connection as HTTP reads it. Bytes that came with a head or a chunk's edge are copied from a
 * frag. The socket reads the rest straight into place.
 */

import type { Connection, Viewer } from '../../connection.ts'
import { isNetmemError } from '../../errors.ts'
import { receiveInto } from '../../net/index.ts'
import type { HostFrag } from '../../pool/frag.ts'
import { type StallListener, StallTimer } from './stall-timer.ts'

/** Limits of waits for a server, in milliseconds. */
interface Limits {
  readonly headTimeoutMs: number
  readonly stallTimeoutMs: number
}

export class HttpConnection {
  readonly transport: Connection
  /** Key of its route. Exchanges over routes of equal keys may share it. */
  readonly key: string
  /** Milliseconds of connecting, TLS included, or 0 after the first exchange. */
  connectMs: number
  /** Milliseconds of the TLS handshake, or 0 after the first exchange. */
  tlsMs: number
  /** True if it has carried an exchange before. */
  reused = false
  /** The connection's only timer. */
  readonly #timer: StallTimer = new StallTimer()
  #stallTimeoutMs = 0
  #frag: HostFrag | undefined
  #at = 0

  constructor(transport: Connection, key: string, connectMs: number) {
    this.transport = transport
    this.key = key
    this.connectMs = connectMs
    this.tlsMs = transport.tls?.handshakeMs ?? 0
  }

  /** Sends a request, and shows the bytes that arrive to `viewer` until {@link hide}. */
  ask(request: string, viewer: Viewer & StallListener, limits: Limits): void {
    this.#stallTimeoutMs = limits.stallTimeoutMs
    this.transport.ref()
    this.#timer.start(limits.headTimeoutMs, viewer)
    // A failure to send shows as a response that does not come.
    this.transport.send(request)
    this.transport.receivers.show(viewer)
  }

  /** Ends {@link ask}: {@link more} and {@link fill} read the bytes that arrive from now on. */
  hide(): void {
    this.#timer.pause()
    this.transport.receivers.hide()
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

  /** Reads more when nothing is {@link present}. Resolves with false at the end of the stream. */
  async more(): Promise<boolean> {
    this.#timer.start(this.#stallTimeoutMs)
    try {
      this.#frag = await this.transport.receive()
    } finally {
      this.#timer.pause()
    }
    this.#at = 0
    return this.#frag !== undefined
  }

  /**
   * Lets the socket fill `view` when nothing is {@link present}. Resolves with the number of bytes,
   * which is less than the view's at the end of the stream.
   */
  async fill(view: Uint8Array, onProgress: (bytes: number) => void): Promise<number> {
    let filled = 0
    this.#timer.start(this.#stallTimeoutMs)
    try {
      return await receiveInto(this.transport, view, {
        onProgress: (bytes) => {
          filled = bytes
          this.#timer.touch()
          onProgress(bytes)
        },
      })
    } catch (error) {
      if (isNetmemError(error) && error.code === 'NETMEM_ENDED_EARLY') return filled
      throw error
    } finally {
      this.#timer.pause()
    }
  }

  /** True if it can carry another exchange: all bytes that arrived belonged to the last one. */
  get clean(): boolean {
    return this.present === undefined && this.transport.state.kind === 'open'
  }

  /**
   * Rests until the next {@link ask}. Calls `disturbed`, which destroys it, when the server sends bytes
   * or ends the connection, or after `idleTimeoutMs`.
   */
  park(idleTimeoutMs: number, disturbed: () => void): void {
    this.reused = true
    this.connectMs = 0
    this.tlsMs = 0
    const view = (): number => {
      disturbed()
      return 0
    }
    this.#timer.start(idleTimeoutMs, { expired: disturbed })
    this.transport.receivers.show({ view, viewEnded: disturbed })
    this.transport.unref()
  }

  /** Ends the connection, and releases the frag that it holds. */
  destroy(reason?: Error): void {
    this.#timer.stop()
    this.#frag?.release()
    this.#frag = undefined
    this.transport.destroy(reason)
  }
}
