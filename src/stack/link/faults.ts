/**
 * A link around a link that loses, doubles, reorders, corrupts and delays what it receives. Each
 * frame's fate depends on the seed and on the frames before it alone, not on when anybody looks,
 * as long as there is memory to hold them: the same seed is the same run. What is transmitted passes untouched: a wire with faults both
 * ways has such a link at either end.
 */

import { ArgumentRangeError, ArgumentTypeError, checkInteger } from '../../errors.ts'
import { Random } from '../../random.ts'
import { DueQueue } from './due-queue.ts'
import { FrameStore } from './frame-store.ts'
import { emptyFrame, type Link, type LinkFrame } from './link.ts'
import { checkRate, serialisationNs } from './rate.ts'

/** Options of {@link faultyLink}. */
export interface FaultOptions {
  /** 0 to 2^32 − 1. */
  readonly seed: number
  /** Of each of these the part of the frames that it befalls, 0 to 1; 0 by default. */
  readonly loss?: number
  readonly duplication?: number
  /** One to three later frames overtake such a frame; it comes after {@link reorderingNs} at the latest. */
  readonly reordering?: number
  /** One bit is flipped, anywhere in the frame. */
  readonly corruption?: number
  /** Delay of every frame in ns, 0 to 10^12; 0 by default. */
  readonly delayNs?: number
  /** Up to so much more for each frame, drawn evenly, which reorders too; 0 by default. */
  readonly jitterNs?: number
  /** How long a reordered frame waits for others, in ns; 1 ms by default. */
  readonly reorderingNs?: number
  /** Bits per second; unlimited by default. */
  readonly rateBitsPerS?: number
  /** Bytes of frames held at most, 1 MiB to 2^30. While half is used no more are taken from the link: its own queue fills. 4 MiB by default. */
  readonly holdBytes?: number
}

/** What became of the frames. A frame may have met several faults. */
export interface FaultCounts {
  /** Taken from the link. */
  received: number
  /** Handed out, duplicates included. */
  delivered: number
  lost: number
  duplicated: number
  reordered: number
  corrupted: number
  /** Lost because they, or their duplicates, could not be held: larger than half of `holdBytes`. */
  overflowed: number
}

/** Frames set aside to be overtaken, at most; when all places are taken a frame is not reordered. */
const ASIDE = 16
const NEVER = Number.POSITIVE_INFINITY

/**
 * Puts faults in front of `link`, which it closes when it is closed.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE
 *
 * ```ts
 * import { createGenerator, faultyLink, VirtualClock } from 'netmem/stack'
 *
 * const flow = createGenerator({ totalBytes: 1_000_000, rateBitsPerS: 1e9 })
 * const link = faultyLink(flow, { seed: 7, loss: 0.01, reordering: 0.02 })
 * const clock = new VirtualClock()
 * while (clock.next([link], (frame) => console.log(clock.nowNs, frame.length)));
 * console.log(link.counts) // the same every time
 * ```
 */
export function faultyLink(link: Link, options: FaultOptions): FaultyLink {
  return new FaultyLink(link, options)
}

/** Made by {@link faultyLink}. */
export class FaultyLink implements Link {
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
  readonly #random: Random
  readonly #loss: number
  readonly #duplication: number
  readonly #reordering: number
  readonly #corruption: number
  readonly #delayNs: number
  readonly #jitterNs: number
  readonly #reorderingNs: number
  readonly #rateBitsPerS: number
  readonly #fullBytes: number
  readonly #store: FrameStore
  readonly #due: DueQueue
  readonly #frame: LinkFrame
  /** The entry that was handed out last. */
  #out = -1
  /** When the last frame came from the link: no later one comes from before. */
  #linkNs = 0
  #busyUntilNs = 0
  #closed = false
  // Frames set aside: which, how many have yet to pass, and when it goes on whether or not they did.
  #aside = 0
  readonly #asideEntries = new Int32Array(ASIDE)
  readonly #asidePassing = new Int32Array(ASIDE)
  readonly #asideUntilNs = new Float64Array(ASIDE)

  /** @internal */
  constructor(link: Link, options: FaultOptions) {
    this.#link = link
    this.#random = new Random(checkInteger('seed', options.seed, 0, 2 ** 32 - 1))
    this.#loss = checkFraction('loss', options.loss)
    this.#duplication = checkFraction('duplication', options.duplication)
    this.#reordering = checkFraction('reordering', options.reordering)
    this.#corruption = checkFraction('corruption', options.corruption)
    this.#delayNs = checkInteger('delayNs', options.delayNs ?? 0, 0, 1e12)
    this.#jitterNs = checkInteger('jitterNs', options.jitterNs ?? 0, 0, 1e12)
    this.#reorderingNs = checkInteger('reorderingNs', options.reorderingNs ?? 1e6, 0, 1e12)
    this.#rateBitsPerS = checkRate(options.rateBitsPerS)
    const bytes = checkInteger('holdBytes', options.holdBytes ?? 2 ** 22, 2 ** 20, 2 ** 30)
    this.#fullBytes = bytes / 2
    this.#store = new FrameStore(bytes)
    this.#due = new DueQueue(this.#store.entries)
    this.#frame = emptyFrame(this.#store.memory)
  }

  receive(nowNs: number): LinkFrame | undefined {
    if (this.#closed) return undefined
    if (this.#out >= 0) {
      this.#store.free(this.#out)
      this.#out = -1
    }
    for (;;) {
      // A held frame goes before whatever the link may still bring.
      const earliestNs = Math.min(nowNs, this.#earliestOfLink())
      if (this.#aside > 0) this.#endWaits(earliestNs)
      if (this.#due.nextNs <= earliestNs) return this.#deliverHeld()
      const frame = this.#isFull() ? undefined : this.#link.receive(nowNs)
      if (frame === undefined) {
        // An end ends waits, too: look again.
        if (this.#aside > 0 && this.#link.ended) continue
        if (this.#aside > 0) this.#endWaits(nowNs)
        return this.#due.nextNs <= nowNs ? this.#deliverHeld() : undefined
      }
      if (this.#passes(frame, nowNs)) return this.#frame
    }
  }

  nextAtNs(): number {
    if (this.#closed) return NEVER
    let nextNs = this.#isFull() ? NEVER : this.#link.nextAtNs()
    nextNs = Math.min(nextNs, this.#due.nextNs)
    for (let at = 0; at < this.#aside; at++) {
      nextNs = Math.min(nextNs, this.#link.ended ? this.#linkNs : (this.#asideUntilNs[at] ?? NEVER))
    }
    return nextNs
  }

  get ended(): boolean {
    return this.#closed || (this.#aside === 0 && this.#due.length === 0 && this.#link.ended)
  }

  transmit(frame: LinkFrame, nowNs: number): void {
    this.#link.transmit(frame, nowNs)
  }

  close(): void {
    this.#closed = true
    this.#link.close()
  }

  /** Decides what becomes of a frame; true when it can be handed out at once, as `#frame`. */
  #passes(frame: LinkFrame, nowNs: number): boolean {
    const { counts } = this
    counts.received++
    this.#linkNs = Math.max(this.#linkNs, frame.timeNs)
    // The same number of draws for each frame, so that one knob does not move what another does.
    const random = this.#random
    const lost = random.fraction() < this.#loss
    const duplicated = random.fraction() < this.#duplication
    const reordered = random.fraction() < this.#reordering && this.#aside < ASIDE
    const corrupted = random.fraction() < this.#corruption && frame.length > 0
    const jitterNs = Math.floor(random.fraction() * (this.#jitterNs + 1))
    const bit = random.next()
    const passing = 1 + (random.next() % 3)
    // A lost frame has taken its time on the wire.
    this.#busyUntilNs =
      Math.max(this.#linkNs, this.#busyUntilNs) +
      serialisationNs(frame.originalLength, this.#rateBitsPerS)
    if (lost) {
      counts.lost++
      return false
    }
    const dueNs = this.#busyUntilNs + this.#delayNs + jitterNs
    const atOnce = dueNs <= nowNs && dueNs < this.#due.nextNs && !reordered && !corrupted
    if (!atOnce) this.#hold(frame, dueNs, corrupted ? bit : -1, reordered ? passing : 0)
    // The copy is of the frame as it came.
    if (duplicated && this.#hold(frame, dueNs, -1, 0)) counts.duplicated++
    if (!atOnce) return false
    const mine = this.#frame
    mine.memory = frame.memory
    mine.offset = frame.offset
    mine.length = frame.length
    mine.originalLength = frame.originalLength
    mine.checksum = frame.checksum
    mine.layout = frame.layout
    this.#delivered(dueNs)
    return true
  }

  /** Keeps a copy of a frame, with bit `bit` of it flipped unless that is −1, until it is due and `passing` frames have passed. */
  #hold(frame: LinkFrame, dueNs: number, bit: number, passing: number): boolean {
    const entry = this.#store.put(frame, dueNs)
    if (entry < 0) {
      this.counts.overflowed++
      return false
    }
    if (bit >= 0) {
      const { bytes } = this.#store.memory
      const at = this.#store.offset(entry) + ((bit >>> 3) % frame.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7))
      this.counts.corrupted++
    }
    if (passing === 0) {
      this.#due.push(dueNs, entry)
      return true
    }
    const at = this.#aside++
    this.#asideEntries[at] = entry
    this.#asidePassing[at] = passing
    this.#asideUntilNs[at] = dueNs + this.#reorderingNs
    this.counts.reordered++
    return true
  }

  #deliverHeld(): LinkFrame {
    const dueNs = this.#due.nextNs
    this.#out = this.#due.pop()
    this.#store.load(this.#out, this.#frame)
    this.#delivered(dueNs)
    return this.#frame
  }

  /** Counts a frame, which goes before those set aside. */
  #delivered(timeNs: number): void {
    this.#frame.timeNs = timeNs
    this.counts.delivered++
    for (let at = this.#aside - 1; at >= 0; at--) {
      const passing = (this.#asidePassing[at] ?? 0) - 1
      this.#asidePassing[at] = passing
      // Not before its own time, which with a delay may be later.
      if (passing <= 0) this.#takeBack(at, Math.max(timeNs, this.#dueOfAside(at)))
    }
  }

  /** Takes back what has waited until `nowNs`; everything when the link has ended. */
  #endWaits(nowNs: number): void {
    const ended = this.#link.ended
    for (let at = this.#aside - 1; at >= 0; at--) {
      const untilNs = this.#asideUntilNs[at] ?? 0
      if (untilNs <= nowNs) this.#takeBack(at, untilNs)
      else if (ended) this.#takeBack(at, this.#dueOfAside(at))
    }
  }

  #dueOfAside(at: number): number {
    return this.#store.timeNs(this.#asideEntries[at] ?? -1)
  }

  #takeBack(at: number, dueNs: number): void {
    this.#due.push(dueNs, this.#asideEntries[at] ?? -1)
    const last = --this.#aside
    this.#asideEntries[at] = this.#asideEntries[last] ?? -1
    this.#asidePassing[at] = this.#asidePassing[last] ?? 0
    this.#asideUntilNs[at] = this.#asideUntilNs[last] ?? 0
  }

  /** A time before which the link brings nothing. */
  #earliestOfLink(): number {
    return this.#isFull() ? NEVER : Math.max(this.#linkNs, this.#link.nextAtNs())
  }

  #isFull(): boolean {
    return this.#store.usedBytes >= this.#fullBytes
  }
}

/** Checks an option that is a part of the frames: 0 to 1. */
export function checkFraction(name: string, value: unknown = 0): number {
  if (typeof value !== 'number') {
    throw new ArgumentTypeError(
      'NETMEM_INVALID_ARGUMENT',
      `${name} must be a number, not ${typeof value}.`,
    )
  }
  if (value >= 0 && value <= 1) return value
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `${name} must be 0 to 1, the part of the frames, not ${value}.`,
  )
}
