/**
 * A link around a link. Its clock starts with the first call for a frame, so that a capture is played
 * from the moment at which the guest's interface comes up.
 */

import type { Link } from '../../stack/link/link.ts'

/** Starts the clock of `link` at the first `receive()`. Closing the returned link closes `link`. */
export function lateStart(link: Link): Link {
  let beganNs: number | undefined
  return {
    features: link.features,
    receive(nowNs) {
      beganNs ??= nowNs
      const frame = link.receive(nowNs - beganNs)
      if (frame !== undefined) frame.timeNs += beganNs
      return frame
    },
    nextAtNs: () => (beganNs === undefined ? 0 : beganNs + link.nextAtNs()),
    get ended() {
      return link.ended
    },
    transmit: (frame, nowNs) => link.transmit(frame, nowNs),
    close: () => link.close(),
    [Symbol.dispose]: () => link.close(),
  }
}
