/**
 * Ring that a driver and a NIC in another thread share: entries of four words one way, and a count of
 * what the NIC has completed the other. The ends of a receive queue and of a transmit queue are made of
 * the two ends here.
 *
 * A count that only its writer writes has a cache line for itself. Counts pass 2^32, and only their
 * differences mean anything.
 */

import { ArgumentRangeError, checkInteger } from '../../errors.ts'
import { ringDoorbell } from './doorbell.ts'
import { armInterrupt, raiseInterrupt } from './interrupts.ts'

/** Parts that both ends of a queue's rings are made from. They cross `postMessage`. */
export interface RingParts {
  /** Memory of the rings. */
  readonly memory: SharedArrayBuffer
  /** Entries of each ring: a power of two. */
  readonly entries: number
  /** Doorbell of all queues of a NIC. The driver wakes a NIC that is asleep. */
  readonly doorbell: SharedArrayBuffer
}

// Words of the shared memory. Each count is on a line of 64 bytes that no other thread writes.
const POSTED = 0
export const COMPLETED = 16
/** Entries that the NIC has taken: the next one to take when the queue is started again. */
const TAKEN = 17
/** 1 while the driver wants to be notified of the next completion. */
const ARMED = 48
// Not exported: engines fold the constants of a file, and load imported ones each time.
const ENTRIES = 64
const ENTRY_WORDS = 4

/**
 * Counts begin shortly before they wrap, as the kernel's jiffies do: every run passes the place
 * where mistakes would show.
 */
export const FIRST_COUNT: number = -256
const ENTRIES_MAX = 65536

/** Makes the memory of a ring, with `completionWords` more words for each entry. */
export function createRingMemory(
  entries: number,
  completionWords: number,
  firstCount: number,
): SharedArrayBuffer {
  const words = new Int32Array(new SharedArrayBuffer(ringBytes(entries, completionWords)))
  words.fill(firstCount, 0, ARMED)
  return words.buffer
}

/**
 * Checks a ring that comes from another thread: a mistake in it would stop the NIC. Returns its number
 * of entries.
 *
 * @throws NETMEM_OUT_OF_RANGE for memory that {@link createRingMemory} cannot have made.
 */
export function checkRing(ring: RingParts, entriesMin: number, completionWords: number): number {
  const entries = checkEntries(ring?.entries, entriesMin)
  const least = ringBytes(entries, completionWords)
  checkInteger('bytes of the ring', ring.memory?.byteLength, least, 2 ** 31)
  return entries
}

function ringBytes(entries: number, completionWords: number): number {
  return 4 * (ENTRIES + entries * (ENTRY_WORDS + completionWords))
}

/**
 * Checks the number of a ring's entries.
 *
 * @throws NETMEM_OUT_OF_RANGE unless it is a power of two from `min` to 65,536.
 */
export function checkEntries(entries: number, min: number): number {
  checkInteger('entries', entries, min, ENTRIES_MAX)
  if ((entries & (entries - 1)) === 0) return entries
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `entries must be a power of two, not ${entries}.`,
  )
}

/** Driver's end of a ring, which is the superclass of the ends of a queue's rings. */
export class DriverRing {
  /** @internal */
  protected readonly words: Int32Array
  /** @internal */
  protected readonly mask: number
  /** @internal First word behind the entries. */
  protected readonly endWord: number
  /** @internal Count of entries that the driver has posted. */
  protected posted: number
  /** @internal Count of completions that the driver has seen. */
  protected reaped: number
  readonly #doorbell: Int32Array

  constructor({ memory, entries, doorbell }: RingParts) {
    this.words = new Int32Array(memory)
    this.mask = entries - 1
    this.endWord = ENTRIES + entries * ENTRY_WORDS
    this.posted = this.reaped = this.words[POSTED] ?? 0
    this.#doorbell = new Int32Array(doorbell)
  }

  /** @internal Posts an entry, which the NIC sees after {@link flush}. */
  protected push(first: number, second: number, third: number, fourth: number): void {
    const at = ENTRIES + (this.posted & this.mask) * ENTRY_WORDS
    this.words[at] = first
    this.words[at + 1] = second
    this.words[at + 2] = third
    this.words[at + 3] = fourth
    this.posted = (this.posted + 1) | 0
  }

  /** Makes what was posted visible to the NIC. */
  flush(): void {
    Atomics.store(this.words, POSTED, this.posted)
    ringDoorbell(this.#doorbell)
  }

  /**
   * Asks for one interrupt: the promise resolves when something is completed that the driver has not
   * seen.
   *
   * @returns `undefined` if there is something already.
   */
  interrupt(): Promise<unknown> | undefined {
    return armInterrupt(this.words, ARMED, COMPLETED, this.reaped)
  }
}

/** NIC's end of a ring, which is the superclass of the ends of a queue's rings. */
export class NicRing {
  /** @internal */
  protected readonly words: Int32Array
  /** @internal */
  protected readonly mask: number
  /** @internal First word behind the entries. */
  protected readonly endWord: number
  /** @internal Count of entries that the NIC has taken. */
  protected taken: number
  /** @internal Count of entries that {@link posted} has found. */
  protected found: number

  constructor({ memory, entries }: RingParts) {
    this.words = new Int32Array(memory)
    this.mask = entries - 1
    this.endWord = ENTRIES + entries * ENTRY_WORDS
    // The queue may have been stopped and started again, so counts continue.
    this.taken = this.found = Atomics.load(this.words, TAKEN)
  }

  /** Returns the number of entries that are posted and not taken. */
  posted(): number {
    // A driver may have written any number.
    const posted = (Atomics.load(this.words, POSTED) - this.taken) | 0
    const count = Math.max(0, Math.min(posted, this.mask + 1))
    this.found = (this.taken + count) | 0
    return count
  }

  /** @internal Returns the first word of the entry with a count. */
  protected entryAt(count: number): number {
    return ENTRIES + (count & this.mask) * ENTRY_WORDS
  }

  /** @internal Shows the driver the count of completions, and interrupts it if it asked for that. */
  protected publish(completed: number): void {
    this.words[TAKEN] = this.taken
    Atomics.store(this.words, COMPLETED, completed)
    raiseInterrupt(this.words, ARMED, COMPLETED)
  }
}
