/** The knobs as they are turned at the moment: what is left of those that count frames. */

import type { NicKnobs } from './nic-types.ts'

export class ActiveKnobs {
  #failQueue = -1
  #failTimes = 0
  #overflowFrames = 0
  #misrouteQueue = -1
  #misrouteFrames = 0

  set(knobs: NicKnobs): void {
    this.#failQueue = knobs.failQueueStart?.queue ?? -1
    this.#failTimes = knobs.failQueueStart?.times ?? 0
    this.#overflowFrames = knobs.headerOverflowFrames ?? 0
    this.#misrouteQueue = knobs.misroute?.queue ?? -1
    this.#misrouteFrames = knobs.misroute?.frames ?? 0
  }

  /** Whether this start of a queue fails. */
  startFails(queue: number): boolean {
    return queue === this.#failQueue && this.#failTimes-- > 0
  }

  /** Whether the headers of a frame that would be split are too large. */
  overflows(): boolean {
    if (this.#overflowFrames <= 0) return false
    this.#overflowFrames--
    return true
  }

  /** Where a frame goes that a rule sends to `queue`. */
  misroute(queue: number): number {
    if (this.#misrouteFrames <= 0) return queue
    this.#misrouteFrames--
    return this.#misrouteQueue
  }
}
