/**
 * A NIC's end of a receive queue with faults: a dry ring, header buffers that are too small, and
 * buffers that are not mapped. It has the interface of the ring end that it wraps.
 */

import { checkInteger, ownOptions } from '../../errors.ts'
import { Random } from '../../random.ts'
import { checkFraction } from '../link/fate.ts'
import {
  type PostedBuffer,
  type PostedBuffers,
  peekEach,
  type RxCompletion,
  type RxFrontEnd,
} from './rx-front-end.ts'

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
export function faultyRxRing(ring: RxFrontEnd, faults: RxRingFaults): FaultyRxRing {
  const names = { seed: true, dry: true, headerOverflow: true, unmapped: true } as const
  return new FaultyRxRing(ring, ownOptions('faultyRxRing()', faults, names))
}

/** Made by {@link faultyRxRing}. */
export class FaultyRxRing implements RxFrontEnd {
  readonly everyPacketTakesABuffer: boolean
  readonly noOffset: boolean
  readonly #ring: RxFrontEnd
  readonly #random: Random
  readonly #dry: number
  readonly #headerOverflow: number
  readonly #unmapped: number

  /** @internal */
  constructor(ring: RxFrontEnd, { seed, dry, headerOverflow, unmapped }: RxRingFaults) {
    this.#ring = ring
    this.everyPacketTakesABuffer = ring.everyPacketTakesABuffer
    this.noOffset = ring.noOffset
    this.#random = new Random(checkInteger('seed', seed, 0, 2 ** 32 - 1))
    this.#dry = checkFraction('dry', dry)
    this.#headerOverflow = checkFraction('headerOverflow', headerOverflow)
    this.#unmapped = checkFraction('unmapped', unmapped)
  }

  posted(): number {
    return this.#ring.posted()
  }

  peek(ahead: number, into: PostedBuffer): boolean {
    // The first look of a frame decides. Its further buffers are as they are.
    const draws = ahead === 0
    if (draws && this.#random.fraction() < this.#dry) return false
    const found = this.#ring.peek(ahead, into)
    if (draws && this.#random.fraction() < this.#unmapped) into.region = -1
    return found
  }

  peekAll(bytes: number, into: PostedBuffers): boolean {
    return peekEach(this, bytes, into)
  }

  take(count: number): void {
    this.#ring.take(count)
  }

  room(): number {
    return this.#ring.room()
  }

  headerBuffer(ahead: number, into: PostedBuffer): void {
    this.#ring.headerBuffer(ahead, into)
    if (this.#random.fraction() < this.#headerOverflow) into.bytes = 0
  }

  complete(completion: RxCompletion): void {
    this.#ring.complete(completion)
  }

  completeAll(completion: RxCompletion, buffers: PostedBuffers, bytes: number): void {
    this.#ring.completeAll(completion, buffers, bytes)
  }

  flush(): void {
    this.#ring.flush()
  }
}
