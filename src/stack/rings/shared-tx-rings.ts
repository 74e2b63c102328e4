/**
 * Ring that a sending driver and a NIC in another thread share. Pieces of packets go one way, and
 * the count of finished pieces comes back. It is made as `shared-rings.ts` describes.
 */

import { ringDoorbell } from './doorbell.ts'
import { armInterrupt, raiseInterrupt } from './interrupts.ts'
import { checkEntries, FIRST_COUNT } from './shared-rings.ts'
import { TX_END_OF_PACKET, type TxFrontEnd, type TxPieces } from './tx-front-end.ts'

/** Parts that both ends of a transmit queue's ring are made from. They cross `postMessage`. */
export interface TxRing {
  /** Memory of the ring. */
  readonly memory: SharedArrayBuffer
  /** Entries of the ring: a power of two. */
  readonly entries: number
  /** Doorbell of the NIC, as for receive rings. */
  readonly doorbell: SharedArrayBuffer
}

// Words of the shared memory, each counter on its own line of 64 bytes.
const POSTED = 0
const FIRST = 1
const COMPLETED = 16
/** 1 while the driver wants to be notified when something is finished. */
const ARMED = 32
const PIECES = 48
const PIECE_WORDS = 4

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
  const words = new Int32Array(new SharedArrayBuffer(4 * (PIECES + entries * PIECE_WORDS)))
  for (const word of [POSTED, FIRST, COMPLETED]) words[word] = firstCount
  return { memory: words.buffer, entries, doorbell }
}

/** Driver's end of the ring of a transmit queue. */
export class DriverTxRing {
  readonly #words: Int32Array
  readonly #doorbell: Int32Array
  readonly #mask: number
  #posted: number
  /** Pieces that {@link reap} has counted. */
  #reaped: number

  constructor(ring: TxRing) {
    this.#words = new Int32Array(ring.memory)
    this.#doorbell = new Int32Array(ring.doorbell)
    this.#mask = ring.entries - 1
    this.#posted = this.#reaped = this.#words[FIRST] ?? 0
  }

  /** Number of pieces that can be posted. Finished pieces count once they have been reaped. */
  room(): number {
    return this.#mask + 1 - ((this.#posted - this.#reaped) | 0)
  }

  /**
   * Posts a piece, which the NIC sees after {@link flush}. The driver posts only while {@link room} is
   * above 0.
   */
  post(region: number, offset: number, bytes: number, flags: number): void {
    const at = PIECES + (this.#posted & this.#mask) * PIECE_WORDS
    this.#words[at] = region
    this.#words[at + 1] = offset
    this.#words[at + 2] = bytes
    this.#words[at + 3] = flags
    this.#posted = (this.#posted + 1) | 0
  }

  /** Makes posted pieces visible to the NIC. */
  flush(): void {
    Atomics.store(this.#words, POSTED, this.#posted)
    ringDoorbell(this.#doorbell)
  }

  /**
   * Returns the number of pieces finished since the last call, the oldest first. Their memory is
   * free.
   */
  reap(): number {
    const completed = Atomics.load(this.#words, COMPLETED)
    const finished = (completed - this.#reaped) | 0
    this.#reaped = completed
    return finished
  }

  /**
   * Asks for one interrupt: the promise resolves when a piece is finished that {@link reap} has not
   * counted.
   *
   * @returns `undefined` if there is one already.
   */
  interrupt(): Promise<unknown> | undefined {
    return armInterrupt(this.#words, ARMED, COMPLETED, this.#reaped)
  }
}

/** NIC's end of the ring of a transmit queue. */
export class NicTxRing implements TxFrontEnd {
  readonly #words: Int32Array
  readonly #mask: number
  #taken: number
  /** Count of the next piece to read. */
  #read: number
  /** Count that {@link posted} has found. */
  #posted: number

  constructor(ring: TxRing) {
    this.#words = new Int32Array(ring.memory)
    this.#mask = ring.entries - 1
    this.#taken = this.#read = this.#posted = this.#words[FIRST] ?? 0
  }

  get full(): boolean {
    // Against the count that the NIC has read: the driver may have posted the end since.
    return ((this.#posted - this.#taken) | 0) > this.#mask
  }

  posted(): number {
    // A driver may have written any number.
    const posted = (Atomics.load(this.#words, POSTED) - this.#taken) | 0
    const count = Math.max(0, Math.min(posted, this.#mask + 1))
    this.#posted = (this.#taken + count) | 0
    return count
  }

  read(into: TxPieces): boolean {
    const words = this.#words
    into.clear()
    while (this.#read !== this.#posted) {
      const at = PIECES + (this.#read & this.#mask) * PIECE_WORDS
      this.#read = (this.#read + 1) | 0
      into.add(words[at] ?? -1, words[at + 1] ?? 0, words[at + 2] ?? 0)
      const flags = words[at + 3] ?? 0
      into.flags |= flags
      if ((flags & TX_END_OF_PACKET) !== 0) return true
    }
    return false
  }

  take(): number {
    const count = (this.#read - this.#taken) | 0
    this.#taken = this.#read
    return count
  }

  rewind(): void {
    this.#read = this.#taken
  }

  /** The driver sees the number of taken pieces: that is all it learns. */
  flush(): void {
    Atomics.store(this.#words, COMPLETED, this.#taken)
    raiseInterrupt(this.#words, ARMED, COMPLETED)
  }
}
