/**
 * Virtual time, which passes only when its owner says so. A run of links is the same each time
 * then, and takes no real time.
 */

import { ArgumentRangeError, checkInteger } from '../../errors.ts'
import type { Link, LinkFrame } from './link.ts'

/** Clock that only its owner moves. */
export class VirtualClock {
  #nowNs = 0
  /**
   * Index of the link with the last frame. Where several frames are due at one time, the other
   * links go first.
   */
  #last = -1

  /** Time of the clock, in ns from 0. */
  get nowNs(): number {
    return this.#nowNs
  }

  /**
   * Advances to `timeNs`, or stays if that is past.
   *
   * @throws NETMEM_OUT_OF_RANGE for a time that is not finite.
   */
  advanceTo(timeNs: number): void {
    if (!Number.isFinite(timeNs)) {
      throw new ArgumentRangeError(
        'NETMEM_OUT_OF_RANGE',
        `A clock cannot go on to ${timeNs}: no event is that far away.`,
      )
    }
    if (timeNs > this.#nowNs) this.#nowNs = timeNs
  }

  /** Advances by `ns`, 0 or more. */
  advanceBy(ns: number): void {
    this.advanceTo(this.#nowNs + checkInteger('ns', ns, 0, Number.MAX_SAFE_INTEGER))
  }

  /**
   * Advances to the next frame of any of `links`, and calls `onFrame` with it and its link. The
   * frame is valid until the next call.
   *
   * @param untilNs latest time to stop at, as for a timer.
   * @returns false if no frame arrives by then. The time is `untilNs` then, if that is finite.
   */
  next(
    links: readonly Link[],
    onFrame: (frame: LinkFrame, link: Link) => void,
    untilNs: number = Number.POSITIVE_INFINITY,
  ): boolean {
    for (;;) {
      const at = this.#earliest(links)
      const link = links[at]
      if (link === undefined || link.nextAtNs() > untilNs) {
        if (Number.isFinite(untilNs)) this.advanceTo(untilNs)
        return false
      }
      this.advanceTo(link.nextAtNs())
      const frame = link.receive(this.#nowNs)
      this.#last = at
      if (frame !== undefined) {
        onFrame(frame, link)
        return true
      }
      // A link may be early if it lost the frame that it saw coming, but not every time.
      if (link.nextAtNs() <= this.#nowNs) return false
    }
  }

  /**
   * Returns the index of the link with the next frame, of several the one behind the last. −1
   * without a frame.
   */
  #earliest(links: readonly Link[]): number {
    let earliest = -1
    let earliestNs = Number.POSITIVE_INFINITY
    for (let step = 1; step <= links.length; step++) {
      const at = (this.#last + step) % links.length
      const nextNs = Math.max(links[at]?.nextAtNs() ?? earliestNs, this.#nowNs)
      if (nextNs < earliestNs) {
        earliest = at
        earliestNs = nextNs
      }
    }
    return earliest
  }
}
