/** A link around a link, which shows every frame to a function: for tracers and for captures. */

import type { Link, LinkFrame } from './link.ts'

/** Sees a frame, which is valid until the function returns. */
export type TraceFrame = (frame: LinkFrame, direction: 'received' | 'transmitted') => void

/**
 * Calls `trace` for each frame that `link` brings or sends, before anything else sees it. Closing the
 * returned link closes `link`.
 *
 * @example
 * ```ts
 * import { createGenerator, tracedLink } from 'netmem/stack/link'
 *
 * const link = tracedLink(createGenerator({ totalBytes: 4000 }), (frame, direction) => {
 *   console.log(direction, frame.length) // received 1502, 1502, 1158
 * })
 * while (link.receive(0) !== undefined);
 * ```
 */
export function tracedLink(link: Link, trace: TraceFrame): Link {
  return {
    features: link.features,
    receive(nowNs) {
      const frame = link.receive(nowNs)
      if (frame !== undefined) trace(frame, 'received')
      return frame
    },
    nextAtNs: () => link.nextAtNs(),
    get ended() {
      return link.ended
    },
    get descriptors() {
      return link.descriptors
    },
    transmit(frame, nowNs) {
      trace(frame, 'transmitted')
      link.transmit(frame, nowNs)
    },
    close: () => link.close(),
    [Symbol.dispose]: () => link.close(),
  }
}
