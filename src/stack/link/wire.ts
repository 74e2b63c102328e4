/** An in-memory wire: what is sent at one end arrives at the other, after a delay and the time that its bits take. */

import { checkInteger } from '../../errors.ts'
import { FrameStore } from './frame-store.ts'
import { emptyFrame, type Link, type LinkFrame } from './link.ts'
import { checkRate, serialisationNs } from './rate.ts'

/** Options of {@link createWire}. */
export interface WireOptions {
  /** How long each bit travels, in ns: 0 to 10^12; 0 by default. */
  readonly delayNs?: number
  /** Bits per second each way, of frames as {@link LinkFrame.originalLength} counts them; unlimited by default. */
  readonly rateBitsPerS?: number
  /** Bytes that may be on their way each way, 4096 to 2^30; each frame counts rounded up to 64. 1 MiB by default. */
  readonly queueBytes?: number
}

/**
 * Makes a wire with two ends. A frame that finds the queue full is dropped and counted.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE
 */
export function createWire(options: WireOptions = {}): readonly [WireEnd, WireEnd] {
  const delayNs = checkInteger('delayNs', options.delayNs ?? 0, 0, 1e12)
  const rate = checkRate(options.rateBitsPerS)
  const queueBytes = checkInteger('queueBytes', options.queueBytes ?? 2 ** 20, 4096, 2 ** 30)
  return WireEnd.pair(delayNs, rate, queueBytes)
}

/** One end of a wire, made by {@link createWire}. */
export class WireEnd implements Link {
  /** Frames put on the wire here. */
  transmitted = 0
  /** Frames that found the queue full, were larger than it, or came after a close. */
  dropped = 0
  /** Frames taken off the wire here. */
  received = 0
  readonly #delayNs: number
  readonly #rateBitsPerS: number
  #peer: WireEnd | undefined
  /** What travels to this end; none once this end is closed. */
  #arriving: FrameStore | undefined
  readonly #frame: LinkFrame
  /** The entry that was handed out last. */
  #out = -1
  /** When the last bit put on the wire here leaves. */
  #busyUntilNs = 0
  #cut = false

  private constructor(delayNs: number, rateBitsPerS: number, queueBytes: number) {
    this.#delayNs = delayNs
    this.#rateBitsPerS = rateBitsPerS
    this.#arriving = new FrameStore(queueBytes)
    this.#frame = emptyFrame(this.#arriving.memory)
  }

  /** @internal */
  static pair(
    delayNs: number,
    rateBitsPerS: number,
    queueBytes: number,
  ): readonly [WireEnd, WireEnd] {
    const left = new WireEnd(delayNs, rateBitsPerS, queueBytes)
    const right = new WireEnd(delayNs, rateBitsPerS, queueBytes)
    left.#peer = right
    right.#peer = left
    return [left, right]
  }

  receive(nowNs: number): LinkFrame | undefined {
    const arriving = this.#arriving
    if (arriving === undefined) return undefined
    this.#freeHandedOut(arriving)
    const entry = arriving.oldest
    if (entry < 0 || arriving.timeNs(entry) > nowNs) return undefined
    arriving.load(entry, this.#frame)
    this.#out = entry
    this.received++
    return this.#frame
  }

  transmit(frame: LinkFrame, nowNs: number): void {
    const start = Math.max(nowNs, this.#busyUntilNs)
    const end = start + serialisationNs(frame.originalLength, this.#rateBitsPerS)
    const peer = this.#cut ? undefined : this.#peer
    const there = peer === undefined ? undefined : peer.#arriving
    if (there === undefined || there.put(frame, end + this.#delayNs) < 0) {
      this.dropped++
      return
    }
    this.#busyUntilNs = end
    this.transmitted++
  }

  nextAtNs(): number {
    const arriving = this.#arriving
    if (arriving === undefined) return Number.POSITIVE_INFINITY
    const entry = this.#next(arriving)
    return entry < 0 ? Number.POSITIVE_INFINITY : arriving.timeNs(entry)
  }

  get ended(): boolean {
    return this.#arriving === undefined || (this.#cut && this.#next(this.#arriving) < 0)
  }

  /** Ends both ends: neither takes another frame. What is on its way to the other end still arrives there. */
  close(): void {
    this.#cut = true
    this.#arriving = undefined
    if (this.#peer !== undefined) this.#peer.#cut = true
  }

  /** The entry behind the one handed out, which is the oldest. */
  #next(arriving: FrameStore): number {
    return this.#out < 0 ? arriving.oldest : arriving.secondOldest
  }

  #freeHandedOut(arriving: FrameStore): void {
    if (this.#out < 0) return
    arriving.free(this.#out)
    this.#out = -1
  }
}
