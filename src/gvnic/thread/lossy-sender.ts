/** A link around a link, which loses frames on their way out: `faultyLink()` loses those that arrive. */

import { Fate, type FaultOptions } from '../../stack/link/fate.ts'
import type { Link } from '../../stack/link/link.ts'

/** Loses `options.loss` of the frames that are sent. Closing the returned link closes `link`. */
export function lossySender(link: Link, options: FaultOptions): Link {
  const fate = new Fate(options)
  return {
    features: link.features,
    receive: (nowNs) => link.receive(nowNs),
    nextAtNs: () => link.nextAtNs(),
    get ended() {
      return link.ended
    },
    get descriptors() {
      return link.descriptors
    },
    transmit(frame, nowNs) {
      fate.draw(frame)
      if (!fate.lost) link.transmit(frame, nowNs)
    },
    close: () => link.close(),
    [Symbol.dispose]: () => link.close(),
  }
}
