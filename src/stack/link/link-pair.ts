/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Two connected links: a frame sent on one arrives on the other, after a delay and the time that
 * its bits take.
 */

import { checkInteger, ownOptions } from '../../errors.ts'
import { FrameStore } from './frame-store.ts'
import {
  type FramePieces,
  type Link,
  type LinkFeatures,
  type LinkFrame,
  type PiecesReceiver,
  wireBytesOf,
} from './link.ts'
import { checkRate, serialisationNs } from './rate.ts'

/** Options of {@link createLinkPair}. */
export interface LinkPairOptions {
  /** Time that each bit travels, in ns: 0 to 10^12. 0 by default. */
  readonly delayNs?: number
  /**
   * Bits per second each way, of frames as {@link LinkFrame.originalLength} counts them. Unlimited
   * by default.
   */
  readonly rateBitsPerS?: number
  /** Bytes of frames under way, each way: 4096 to 2^30. Each frame counts rounded up to 64. 1 MiB by default. */
  readonly queueBytes?: number
}

/**
 * Makes two connected links. A frame that finds the queue full is dropped and counted.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range.
 */
export function createLinkPair(options: LinkPairOptions = {}): readonly [PairedLink, PairedLink] {
  const names = { delayNs: true, rateBitsPerS: true, queueBytes: true } as const
  const own = ownOptions('createLinkPair()', options, names)
  const delayNs = checkInteger('delayNs', own.delayNs ?? 0, 0, 1e12)
  const rate = checkRate(own.rateBitsPerS)
  const queueBytes = checkInteger('queueBytes', own.queueBytes ?? 2 ** 20, 4096, 2 ** 30)
  const left = new PairedLink(delayNs, rate, queueBytes)
  return [left, new PairedLink(delayNs, rate, queueBytes, left)]
}

/** Large frames pass whole, and count as their segments on the wire. */
const LARGE_FRAMES: LinkFeatures = { largeFrames: true, partialChecksums: false }

/** One of the two links that {@link createLinkPair} makes. */
export class PairedLink implements Link {
  readonly features: LinkFeatures = LARGE_FRAMES
  /** Frames sent here. */
  tx_packets = 0
  /** Frames that found the queue full, were larger than it, or were sent after a close. */
  tx_dropped = 0
  /** Frames received here. */
  rx_packets = 0
  receiver: PiecesReceiver | undefined
  readonly #delayNs: number
  readonly #rateBitsPerS: number
  /** True if frames arrive at once. */
  readonly #isImmediate: boolean
  #peer: PairedLink | undefined
  /** Frames on their way to this end. `undefined` once it is closed. */
  #arriving: FrameStore | undefined
  /** Time at which the last bit sent here has left. */
  #busyUntilNs = 0
  /** True once either end is closed. */
  #cut = false

  /** @internal @param peer the other end, for the second one. */
  constructor(delayNs: number, rateBitsPerS: number, queueBytes: number, peer?: PairedLink) {
    this.#delayNs = delayNs
    this.#rateBitsPerS = rateBitsPerS
    this.#isImmediate = delayNs === 0 && rateBitsPerS === Number.POSITIVE_INFINITY
    this.#arriving = new FrameStore(queueBytes)
    this.#peer = peer
    if (peer !== undefined) peer.#peer = this
  }

  receive(nowNs: number): LinkFrame | undefined {
    const frame = this.#arriving?.take(nowNs)
    if (frame !== undefined) this.rx_packets++
    return frame
  }

  transmit(frame: LinkFrame, nowNs: number): void {
    this.#send(frame, undefined, nowNs)
  }

  transmitPieces(head: LinkFrame, pieces: FramePieces, nowNs: number): void {
    if (this.#isImmediate && this.#peer?.take(head, pieces) === true) this.tx_packets++
    else this.#send(head, pieces, nowNs)
  }

  /** @internal Gives a frame to the receiver. Returns false without one, and behind other frames. */
  take(head: LinkFrame, pieces: FramePieces): boolean {
    const isNext = this.#arriving?.nextNs === Number.POSITIVE_INFINITY
    if (!isNext || this.#cut || this.receiver?.(head, pieces) !== true) return false
    this.rx_packets++
    return true
  }

  #send(frame: LinkFrame, pieces: FramePieces | undefined, nowNs: number): void {
    const start = Math.max(nowNs, this.#busyUntilNs)
    const end = start + serialisationNs(wireBytesOf(frame), this.#rateBitsPerS)
    const peer = this.#cut ? undefined : this.#peer
    const there = peer === undefined ? undefined : peer.#arriving
    const dueNs = end + this.#delayNs
    const isUnderWay = pieces ? there?.putPieces(frame, pieces, dueNs) : there?.put(frame, dueNs)
    if (isUnderWay !== true) {
      this.tx_dropped++
      return
    }
    this.#busyUntilNs = end
    this.tx_packets++
  }

  nextAtNs(): number {
    return this.#arriving?.nextNs ?? Number.POSITIVE_INFINITY
  }

  get ended(): boolean {
    return this.#cut && this.nextAtNs() === Number.POSITIVE_INFINITY
  }

  /** Closes both ends, which take no more frames. Frames on their way to the other end still arrive. */
  close(): void {
    this.#cut = true
    this.#arriving = undefined
    if (this.#peer !== undefined) this.#peer.#cut = true
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
