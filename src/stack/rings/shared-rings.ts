/**
 * Rings that a driver and a NIC in another thread share: posted buffers one way, completions the
 * other. Each ring has one producer and one consumer. A count that only its writer writes has a
 * cache line for itself. Counts pass 2^32, and only their differences mean anything.
 *
 * A header buffer belongs to a completion. The NIC may write it again once the driver has polled
 * that completion and flushed. So the driver copies headers out before it flushes.
 */

import { ArgumentRangeError, checkInteger } from '../../errors.ts'
import { endNaps, ringDoorbell } from './doorbell.ts'
import { armInterrupt, raiseInterrupt } from './interrupts.ts'
import type { PostedBuffer, RxCompletion, RxFrontEnd } from './rx-front-end.ts'

/** Parts that both ends of a queue's rings are made from. They cross `postMessage`. */
export interface RxRings {
  /** Memory of both rings. */
  readonly memory: SharedArrayBuffer
  /** Entries of each ring: a power of two. */
  readonly entries: number
  /**
   * Header buffers, one for each completion, as the pages they lie in. `undefined` without header
   * split.
   */
  readonly headers:
    | {
        /** Bytes of each header buffer. */
        readonly bytes: number
        /** Pages that the header buffers lie in, in their order. */
        readonly pages: readonly HeaderPage[]
      }
    | undefined
  /** Doorbell of all queues of a NIC. The driver wakes a NIC that is asleep. */
  readonly doorbell: SharedArrayBuffer
}

/** Page of header buffers by DMA address, and the number of its buffers. */
export interface HeaderPage {
  /** Region of the device's address space. */
  readonly region: number
  /** Bytes from the start of the region. */
  readonly offset: number
  /** Number of header buffers in the page. */
  readonly buffers: number
}

// Words of the shared memory, each counter on its own line of 64 bytes.
const POSTED = 0
/** First value of all counts. It is never written again. */
const FIRST = 1
const COMPLETED = 16
/** Posted buffers that the NIC has taken: the next one to take when the queue is started again. */
const TAKEN = 17
const REAPED = 32
/** 1 while the driver wants to be notified of the next completion. */
const ARMED = 48
const DESCRIPTORS = 64
const DESCRIPTOR_WORDS = 4
const COMPLETION_WORDS = 8

/**
 * Counts begin shortly before they wrap, as the kernel's jiffies do: every run passes the place
 * where mistakes would show.
 */
export const FIRST_COUNT: number = -256
const ENTRIES_MAX = 65536

/**
 * Makes the memory of one queue's rings. With header split there are as many header buffers as
 * entries.
 *
 * @param entries power of two, 1 to 65,536.
 * @throws NETMEM_OUT_OF_RANGE
 */
export function createRxRings(
  entries: number,
  headers: RxRings['headers'],
  doorbell: SharedArrayBuffer,
  firstCount: number = FIRST_COUNT,
): RxRings {
  checkEntries(entries, 1)
  if (headers !== undefined) checkHeaders(headers, entries)
  const words = new Int32Array(new SharedArrayBuffer(ringBytes(entries)))
  for (const word of [POSTED, FIRST, COMPLETED, TAKEN, REAPED]) words[word] = firstCount
  return { memory: words.buffer, entries, headers, doorbell }
}

/**
 * Checks rings that come from another thread: a mistake in them would stop the NIC.
 *
 * @throws NETMEM_OUT_OF_RANGE unless {@link createRxRings} could have made them.
 */
export function checkRxRings(rings: RxRings): void {
  const entries = checkEntries(rings?.entries, 1)
  if (rings.headers !== undefined) checkHeaders(rings.headers, entries)
  checkInteger('bytes of the rings', rings.memory?.byteLength, ringBytes(entries), 2 ** 31)
}

function ringBytes(entries: number): number {
  return 4 * (DESCRIPTORS + entries * (DESCRIPTOR_WORDS + COMPLETION_WORDS))
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

function checkHeaders({ pages }: NonNullable<RxRings['headers']>, entries: number): void {
  const each = pages[0]?.buffers ?? 0
  const areAlike = pages.slice(0, -1).every(({ buffers }) => buffers === each)
  const inLast = pages.at(-1)?.buffers ?? 0
  if (areAlike && inLast <= each && (pages.length - 1) * each + inLast >= entries) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `There must be a header buffer for each of the ${entries} completions, as many in every page but the last, and no more in that.`,
  )
}

/** Driver's end of the rings of a receive queue. */
export class DriverRxRing {
  readonly #words: Int32Array
  readonly #doorbell: Int32Array
  readonly #mask: number
  #posted = 0
  #reaped = 0
  /** Completions known to be in the ring. */
  #completed = 0

  constructor(rings: RxRings) {
    this.#words = new Int32Array(rings.memory)
    this.#doorbell = new Int32Array(rings.doorbell)
    this.#mask = rings.entries - 1
    this.#posted = this.#reaped = this.#completed = this.#words[FIRST] ?? 0
  }

  /**
   * Posts a buffer, which the NIC sees after {@link flush}. The driver keeps at most `entries`
   * buffers posted and not completed.
   */
  post(id: number, region: number, offset: number, bytes: number): void {
    const at = DESCRIPTORS + (this.#posted & this.#mask) * DESCRIPTOR_WORDS
    this.#words[at] = id
    this.#words[at + 1] = region
    this.#words[at + 2] = offset
    this.#words[at + 3] = bytes
    this.#posted = (this.#posted + 1) | 0
  }

  /** Makes posted buffers and polled completions visible to the NIC. */
  flush(): void {
    Atomics.store(this.#words, REAPED, this.#reaped)
    Atomics.store(this.#words, POSTED, this.#posted)
    ringDoorbell(this.#doorbell)
  }

  /** Reads the next completion. Returns false if there is none. */
  poll(into: RxCompletion): boolean {
    if (this.#reaped === this.#completed) {
      this.#completed = Atomics.load(this.#words, COMPLETED)
      if (this.#reaped === this.#completed) return false
    }
    const words = this.#words
    const at =
      DESCRIPTORS +
      (this.#mask + 1) * DESCRIPTOR_WORDS +
      (this.#reaped & this.#mask) * COMPLETION_WORDS
    into.id = words[at] ?? -1
    into.offset = words[at + 1] ?? 0
    into.bytes = words[at + 2] ?? 0
    into.headerBytes = words[at + 3] ?? 0
    const flags = words[at + 4] ?? 0
    into.flags = flags & 0xffff
    into.packetType = flags >>> 16
    into.hash = words[at + 5] ?? 0
    into.segments = words[at + 6] ?? 1
    into.segmentBytes = words[at + 7] ?? 0
    this.#reaped = (this.#reaped + 1) | 0
    return true
  }

  /** Index of the header buffer of the completion that {@link poll} read last. */
  get headerBuffer(): number {
    return (this.#reaped - 1) & this.#mask
  }

  /**
   * Asks for one interrupt: the promise resolves when there is a completion that {@link poll} has
   * not read.
   *
   * @returns `undefined` if there is one already.
   */
  interrupt(): Promise<unknown> | undefined {
    return armInterrupt(this.#words, ARMED, COMPLETED, this.#reaped)
  }
}

/** NIC's end of the rings of a receive queue. */
export class NicRxRing implements RxFrontEnd {
  readonly everyPacketTakesABuffer: boolean = false
  readonly noOffset: boolean = false
  readonly #words: Int32Array
  readonly #doorbell: Int32Array
  readonly #mask: number
  readonly #headers: RxRings['headers']
  #taken = 0
  #posted = 0
  #completed = 0

  constructor(rings: RxRings) {
    this.#words = new Int32Array(rings.memory)
    this.#doorbell = new Int32Array(rings.doorbell)
    this.#mask = rings.entries - 1
    this.#headers = rings.headers
    // The queue may have been stopped and started again, so counts continue.
    this.#taken = this.#posted = Atomics.load(this.#words, TAKEN)
    this.#completed = Atomics.load(this.#words, COMPLETED)
  }

  posted(): number {
    this.#posted = Atomics.load(this.#words, POSTED)
    // A driver may have written any number.
    const posted = (this.#posted - this.#taken) | 0
    return Math.max(0, Math.min(posted, this.#mask + 1))
  }

  peek(ahead: number, into: PostedBuffer): boolean {
    if (((this.#posted - this.#taken) | 0) <= ahead && this.posted() <= ahead) return false
    const words = this.#words
    const at = DESCRIPTORS + ((this.#taken + ahead) & this.#mask) * DESCRIPTOR_WORDS
    into.id = words[at] ?? -1
    into.region = words[at + 1] ?? -1
    into.offset = words[at + 2] ?? 0
    into.bytes = words[at + 3] ?? 0
    return true
  }

  take(count: number): void {
    this.#taken = (this.#taken + count) | 0
  }

  room(): number {
    const used = (this.#completed - Atomics.load(this.#words, REAPED)) | 0
    return this.#mask + 1 - Math.max(0, used)
  }

  headerBuffer(into: PostedBuffer): void {
    into.region = -1
    if (this.#headers === undefined) return
    let index = this.#completed & this.#mask
    const { bytes, pages } = this.#headers
    // Pages of one size: all but the last have as many buffers as the first.
    const each = pages[0]?.buffers ?? 1
    const page = pages[Math.floor(index / each)]
    if (page === undefined) return
    index %= each
    into.region = page.region
    into.offset = page.offset + index * bytes
    into.bytes = bytes
  }

  complete(completion: RxCompletion): void {
    const words = this.#words
    const at =
      DESCRIPTORS +
      (this.#mask + 1) * DESCRIPTOR_WORDS +
      (this.#completed & this.#mask) * COMPLETION_WORDS
    words[at] = completion.id
    words[at + 1] = completion.offset
    words[at + 2] = completion.bytes
    words[at + 3] = completion.headerBytes
    words[at + 4] = completion.flags | (completion.packetType << 16)
    words[at + 5] = completion.hash
    words[at + 6] = completion.segments
    words[at + 7] = completion.segmentBytes
    this.#completed = (this.#completed + 1) | 0
  }

  flush(): void {
    this.#words[TAKEN] = this.#taken
    Atomics.store(this.#words, COMPLETED, this.#completed)
    endNaps(this.#doorbell)
    raiseInterrupt(this.#words, ARMED, COMPLETED)
  }
}
