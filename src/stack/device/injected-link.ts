/// <reference lib="esnext.disposable" preserve="true" />
/** A link whose far end is in another thread: frames are injected into it, and sent ones are passed on. */

import { FrameStore } from '../link/frame-store.ts'
import { type Link, type LinkFeatures, type LinkFrame, ORDINARY_FRAMES } from '../link/link.ts'

export class InjectedLink implements Link {
  readonly features: LinkFeatures = ORDINARY_FRAMES
  readonly #waiting: FrameStore
  readonly #transmitted: (frame: LinkFrame) => void
  #lastNs = 0
  #closed = false

  /**
   * @param bytes room for injected frames, each rounded up to 64 bytes.
   * @param transmitted gets each frame that the NIC sends.
   */
  constructor(bytes: number, transmitted: (frame: LinkFrame) => void) {
    this.#waiting = new FrameStore(bytes)
    this.#transmitted = transmitted
  }

  receive(nowNs: number): LinkFrame | undefined {
    return this.#waiting.take(nowNs)
  }

  nextAtNs(): number {
    return this.#waiting.nextNs
  }

  get ended(): boolean {
    return this.#closed && this.nextAtNs() === Number.POSITIVE_INFINITY
  }

  transmit(frame: LinkFrame): void {
    if (!this.#closed) this.#transmitted(frame)
  }

  /** Refuses further frames, both ways. Frames that wait still arrive. */
  close(): void {
    this.#closed = true
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Adds a frame that arrives at `timeNs`, or with the frame before it if that is later: a link keeps
   * the order. Returns false without room, or after a close.
   */
  inject(frame: Uint8Array, timeNs: number, checksum: LinkFrame['checksum']): boolean {
    if (this.#closed) return false
    const dueNs = Math.max(this.#lastNs, timeNs)
    if (!this.#waiting.putBytes(frame, checksum, dueNs)) return false
    this.#lastNs = dueNs
    return true
  }
}
