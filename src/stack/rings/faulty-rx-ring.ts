/**
 * A NIC's end of a receive queue with faults: a dry ring, header buffers that are too small, and
 * buffers that are not mapped. It has the interface of the ring end that it wraps.
 */

import { checkInteger, ownOptions } from '../../errors.ts'
import { Random } from '../../random.ts'
import { checkFraction } from '../link/fate.ts'
import type { RxFrontEnd } from './rx-front-end.ts'

/** Faults of a receive queue. Each part is 0 to 1, and 0 by default. */
export interface RxRingFaults {
  /** 0 to 2^32 − 1. The same seed draws the same faults. */
  readonly seed: number
  /** Part of the frames that find no buffer posted. */
  readonly dry?: number
  /** Part of the frames whose headers are too large for their header buffer. */
  readonly headerOverflow?: number
  /** Part of the frames whose first buffer is not mapped for the device. */
  readonly unmapped?: number
}

/**
 * Wraps a NIC's ring end. The driver's end stays as it is.
 *
 * @throws NETMEM_INVALID_ARGUMENT, NETMEM_OUT_OF_RANGE for a seed or part outside its range.
 */
export function faultyRxRing(ring: RxFrontEnd, faults: RxRingFaults): RxFrontEnd {
  const names = { seed: true, dry: true, headerOverflow: true, unmapped: true } as const
  const own = ownOptions('faultyRxRing()', faults, names)
  const random = new Random(checkInteger('seed', own.seed, 0, 2 ** 32 - 1))
  const dry = checkFraction('dry', own.dry)
  const headerOverflow = checkFraction('headerOverflow', own.headerOverflow)
  const unmapped = checkFraction('unmapped', own.unmapped)
  return {
    everyPacketTakesABuffer: ring.everyPacketTakesABuffer,
    noOffset: ring.noOffset,
    posted: () => ring.posted(),
    peek: (ahead, into) => {
      // The first look of a frame decides. Its further buffers are as they are.
      const draws = ahead === 0
      if (draws && random.fraction() < dry) return false
      const found = ring.peek(ahead, into)
      if (draws && random.fraction() < unmapped) into.region = -1
      return found
    },
    take: (count) => ring.take(count),
    room: () => ring.room(),
    headerBuffer: (into) => {
      ring.headerBuffer(into)
      if (random.fraction() < headerOverflow) into.bytes = 0
    },
    complete: (completion) => ring.complete(completion),
    flush: () => ring.flush(),
  }
}
