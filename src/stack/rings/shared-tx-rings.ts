/**
 * Ring of a transmit queue, in memory that a driver and a NIC in another thread share. Pieces of packets
 * go one way, and the count of finished pieces comes back.
 */

import {
  COMPLETED,
  checkEntries,
  checkRing,
  createRingMemory,
  DriverRing,
  FIRST_COUNT,
  NicRing,
  type RingParts,
} from './ring-ends.ts'
import { TX_END_OF_PACKET, type TxFrontEnd, type TxPieces } from './tx-front-end.ts'

/** Parts that both ends of a transmit queue's ring are made from. They cross `postMessage`. */
export type TxRing = RingParts

/** Least number of entries: more than the pieces of one packet. */
const ENTRIES_MIN = 32

/**
 * Makes the memory of one queue's ring.
 *
 * @param entries power of two, 32 to 65,536.
 * @throws NETMEM_OUT_OF_RANGE
 */
export function createTxRing(
  entries: number,
  doorbell: SharedArrayBuffer,
  firstCount: number = FIRST_COUNT,
): TxRing {
  checkEntries(entries, ENTRIES_MIN)
  return { memory: createRingMemory(entries, 0, firstCount), entries, doorbell }
}

/**
 * Checks a ring that comes from another thread.
 *
 * @throws NETMEM_OUT_OF_RANGE unless {@link createTxRing} could have made it.
 */
export function checkTxRing(ring: TxRing): void {
  checkRing(ring, ENTRIES_MIN, 0)
}

/** Driver's end of the ring of a transmit queue. */
export class DriverTxRing extends DriverRing {
  /** Number of pieces that can be posted. Finished pieces count once they have been reaped. */
  room(): number {
    return this.mask + 1 - ((this.posted - this.reaped) | 0)
  }

  /**
   * Posts a piece, which the NIC sees after {@link flush}. The driver posts only while {@link room} is
   * above 0.
   */
  post(region: number, offset: number, bytes: number, flags: number): void {
    this.push(region, offset, bytes, flags)
  }

  /**
   * Returns the number of pieces finished since the last call, the oldest first. Their memory is
   * free.
   */
  reap(): number {
    const completed = Atomics.load(this.words, COMPLETED)
    const finished = (completed - this.reaped) | 0
    this.reaped = completed
    return finished
  }
}

/** NIC's end of the ring of a transmit queue. */
export class NicTxRing extends NicRing implements TxFrontEnd {
  /** Count of the next piece to read. */
  #read = this.taken

  get full(): boolean {
    // Against the count that the NIC has read: the driver may have posted the end since.
    return ((this.found - this.taken) | 0) > this.mask
  }

  read(into: TxPieces): boolean {
    const words = this.words
    into.clear()
    while (this.#read !== this.found) {
      const at = this.entryAt(this.#read)
      this.#read = (this.#read + 1) | 0
      into.add(words[at] ?? -1, words[at + 1] ?? 0, words[at + 2] ?? 0)
      const flags = words[at + 3] ?? 0
      into.flags |= flags
      if ((flags & TX_END_OF_PACKET) !== 0) return true
    }
    return false
  }

  take(): number {
    const count = (this.#read - this.taken) | 0
    this.taken = this.#read
    return count
  }

  rewind(): void {
    this.#read = this.taken
  }

  /** The driver sees the number of taken pieces: that is all it learns. */
  flush(): void {
    this.publish(this.taken)
  }
}
