/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A link around a link, which loses, doubles, reorders, corrupts and delays received frames. The
 * fate of a frame depends on the seed and on the frames before it. It does not depend on when the
 * caller looks, as long as there is memory to hold frames.
 *
 * Transmitted frames pass unchanged. Faults both ways take such a link at either end.
 */

import { checkInteger, ownOptions } from '../../errors.ts'
import { FAULT_OPTIONS, Fate, type FaultOptions } from './fate.ts'
import { FrameStore, type StoredFrame } from './frame-store.ts'
import { type Link, type LinkFeatures, type LinkFrame, ORDINARY_FRAMES } from './link.ts'
import { checkRate, serialisationNs } from './rate.ts'

/** Numbers of frames by their fate. A frame may have met several faults. */
export interface FaultCounts {
  /** Frames taken from the link. */
  received: number
  /** Frames handed out, duplicates included. */
  delivered: number
  /** Frames lost. */
  lost: number
  /** Frames handed out twice. */
  duplicated: number
  /** Frames that later ones overtook. */
  reordered: number
  /** Frames in which a bit was changed. */
  corrupted: number
  /** Frames and duplicates lost because there was no memory to hold them. */
  overflowed: number
}

/** A reordered frame that waits to be overtaken. */
interface Overtaken {
  readonly frame: StoredFrame
  /** Frames that have yet to pass. */
  left: number
  readonly dueNs: number
  /** Time at which it continues, even if they have not passed. */
  readonly untilNs: number
}

/** Frames that wait to be overtaken, at most. Further frames are not reordered. */
const MAX_OVERTAKEN = 16
const NEVER = Number.POSITIVE_INFINITY

/**
 * Wraps `link` in faults. Closing the returned link closes `link`.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for an option outside its range.
 *
 * @example
 * ```ts
 * import { createGenerator, faultyLink, VirtualClock } from 'netmem/stack/link'
 *
 * const flow = createGenerator({ totalBytes: 1_000_000, rateBitsPerS: 1e9 })
 * const link = faultyLink(flow, { seed: 7, loss: 0.01, reordering: 0.02 })
 * const clock = new VirtualClock()
 * while (clock.next([link], (frame) => console.log(clock.nowNs, frame.length)));
 * console.log(link.counts) // the same every time
 * ```
 */
export function faultyLink(link: Link, options: FaultOptions): FaultyLink {
  return new FaultyLink(link, ownOptions('faultyLink()', options, FAULT_OPTIONS))
}

/** Made by {@link faultyLink}. */
export class FaultyLink implements Link {
  /** Faults are for single frames, so its NIC sends no large ones. */
  readonly features: LinkFeatures = ORDINARY_FRAMES
  readonly counts: FaultCounts = {
    received: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    overflowed: 0,
  }
  readonly #link: Link
  readonly #fate: Fate
  readonly #delayNs: number
  readonly #reorderingNs: number
  readonly #rateBitsPerS: number
  readonly #fullBytes: number
  readonly #store: FrameStore
  readonly #overtaken = new Set<Overtaken>()
  /** Time of the last frame from the link: no later frame is earlier. */
  #linkNs = 0
  #busyUntilNs = 0
  #closed = false

  /** @internal */
  constructor(link: Link, options: FaultOptions) {
    this.#link = link
    this.#fate = new Fate(options)
    this.#delayNs = checkInteger('delayNs', options.delayNs ?? 0, 0, 1e12)
    this.#reorderingNs = checkInteger('reorderingNs', options.reorderingNs ?? 1e6, 0, 1e12)
    this.#rateBitsPerS = checkRate(options.rateBitsPerS)
    const bytes = checkInteger('holdBytes', options.holdBytes ?? 2 ** 22, 2 ** 20, 2 ** 30)
    this.#fullBytes = bytes / 2
    this.#store = new FrameStore(bytes)
  }

  receive(nowNs: number): LinkFrame | undefined {
    if (this.#closed) return undefined
    this.#store.freeTaken()
    for (;;) {
      // A held frame goes before any frame that the link may still bring.
      const linkNs = this.#isFull() ? NEVER : Math.max(this.#linkNs, this.#link.nextAtNs())
      const held = this.#takeHeld(Math.min(nowNs, linkNs))
      if (held !== undefined) return held
      const frame = this.#isFull() ? undefined : this.#link.receive(nowNs)
      if (frame === undefined) return this.#takeHeld(nowNs)
      if (this.#passes(frame, nowNs)) return this.#deliver(frame)
    }
  }

  nextAtNs(): number {
    if (this.#closed) return NEVER
    const linkNs = this.#isFull() ? NEVER : this.#link.nextAtNs()
    let nextNs = Math.min(linkNs, this.#store.nextNs)
    for (const { untilNs } of this.#overtaken) {
      nextNs = Math.min(nextNs, this.#link.ended ? this.#linkNs : untilNs)
    }
    return nextNs
  }

  get ended(): boolean {
    if (this.#closed) return true
    return this.#overtaken.size === 0 && this.#store.nextNs === NEVER && this.#link.ended
  }

  /** Descriptors of the link, or `undefined` while there is no room for another frame. */
  get descriptors(): Link['descriptors'] {
    return this.#closed || this.#isFull() ? undefined : this.#link.descriptors
  }

  transmit(frame: LinkFrame, nowNs: number): void {
    this.#link.transmit(frame, nowNs)
  }

  close(): void {
    this.#closed = true
    this.#link.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Applies the fate of a frame. Returns true if it can be handed out at once, where it lies. */
  #passes(frame: LinkFrame, nowNs: number): boolean {
    const { counts } = this
    const fate = this.#fate
    fate.draw(frame)
    counts.received++
    this.#linkNs = Math.max(this.#linkNs, frame.timeNs)
    // A lost frame has taken its time, too.
    this.#busyUntilNs =
      Math.max(this.#linkNs, this.#busyUntilNs) +
      serialisationNs(frame.originalLength, this.#rateBitsPerS)
    if (fate.lost) {
      counts.lost++
      return false
    }
    const dueNs = this.#busyUntilNs + this.#delayNs + fate.jitterNs
    const isReordered = fate.reordered && this.#overtaken.size < MAX_OVERTAKEN
    const isDue = dueNs <= nowNs && dueNs < this.#store.nextNs
    const atOnce = isDue && !isReordered && !fate.corrupted
    if (!atOnce) this.#hold(frame, dueNs, isReordered)
    // The duplicate is of the frame as it came.
    if (fate.duplicated) {
      if (this.#store.put(frame, dueNs)) counts.duplicated++
      else counts.overflowed++
    }
    if (atOnce) frame.timeNs = dueNs
    return atOnce
  }

  /** Keeps a copy of a frame until it is due, or has been overtaken. */
  #hold(frame: LinkFrame, dueNs: number, isReordered: boolean): void {
    const { counts } = this
    const fate = this.#fate
    const store = this.#store
    const held = store.hold(frame)
    if (held === undefined) {
      counts.overflowed++
      return
    }
    if (fate.corrupted) {
      flipBit(held, fate.bit)
      counts.corrupted++
    }
    if (!isReordered) {
      store.setDue(held, dueNs)
      return
    }
    const untilNs = dueNs + this.#reorderingNs
    this.#overtaken.add({ frame: held, left: fate.overtaking, dueNs, untilNs })
    counts.reordered++
  }

  /** Hands out the next held frame that is due by `nowNs`. */
  #takeHeld(nowNs: number): LinkFrame | undefined {
    this.#endWaits(nowNs)
    const frame = this.#store.take(nowNs)
    return frame === undefined ? undefined : this.#deliver(frame)
  }

  /** Counts a frame, which overtakes those that wait for it. */
  #deliver(frame: LinkFrame): LinkFrame {
    this.counts.delivered++
    for (const waiting of this.#overtaken) {
      waiting.left--
      // The frame's own time may be later, if it is delayed.
      if (waiting.left === 0) this.#resume(waiting, Math.max(frame.timeNs, waiting.dueNs))
    }
    return frame
  }

  /** Ends the waits that last until `nowNs` at most, or all of them once the link has ended. */
  #endWaits(nowNs: number): void {
    for (const waiting of this.#overtaken) {
      if (waiting.untilNs <= nowNs) this.#resume(waiting, waiting.untilNs)
      else if (this.#link.ended) this.#resume(waiting, waiting.dueNs)
    }
  }

  #resume(waiting: Overtaken, dueNs: number): void {
    this.#overtaken.delete(waiting)
    this.#store.setDue(waiting.frame, dueNs)
  }

  #isFull(): boolean {
    return this.#store.usedBytes >= this.#fullBytes
  }
}

/** Flips one bit of a frame. */
function flipBit({ memory: { bytes }, offset, length }: LinkFrame, bit: number): void {
  const at = offset + ((bit >>> 3) % length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7))
}
