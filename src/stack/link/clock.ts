/** Time that passes when it is told to: with it a run of links is the same each time, and takes none. */

import { ArgumentRangeError, checkInteger } from '../../errors.ts'
import type { Link, LinkFrame } from './link.ts'

/** Clock that only its owner moves. */
export class VirtualClock {
  #nowNs = 0
  /** Whose frame came last: where several are due at one time, the others go first. */
  #last = -1

  /** Now, in ns from 0. */
  get nowNs(): number {
    return this.#nowNs
  }

  /** Goes on to `timeNs`, or stays where that has passed. Throws NETMEM_OUT_OF_RANGE for what is no time. */
  advanceTo(timeNs: number): void {
    if (!Number.isFinite(timeNs)) {
      throw new ArgumentRangeError(
        'NETMEM_OUT_OF_RANGE',
        `A clock cannot go on to ${timeNs}: no event is that far away.`,
      )
    }
    if (timeNs > this.#nowNs) this.#nowNs = timeNs
  }

  /** Goes on by `ns`, 0 or more. */
  advanceBy(ns: number): void {
    this.advanceTo(this.#nowNs + checkInteger('ns', ns, 0, Number.MAX_SAFE_INTEGER))
  }

  /**
   * Goes on to the next frame of any of `links` and hands it to `onFrame` with its link. The frame
   * is the link's until the next call. A timer is a limit: `untilNs` is when to stop at the latest.
   *
   * @returns false, with the time at `untilNs` if that is finite, when no frame arrives by then.
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
      // A link may look early, when it lost the frame that it saw coming, but not for ever.
      if (link.nextAtNs() <= this.#nowNs) return false
    }
  }

  /** The link whose frame comes first, of several the one behind the last; −1 when none has one. */
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
