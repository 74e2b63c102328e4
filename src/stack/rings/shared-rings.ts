/**
 * Rings of a receive queue, in memory that a driver and a NIC in another thread share: posted buffers
 * one way, completions the other.
 *
 * A header buffer belongs to a completion. The NIC may write it again once the driver has polled
 * that completion and flushed. So the driver copies headers out before it flushes.
 */

import { ArgumentRangeError } from '../../errors.ts'
import { endNaps } from './doorbell.ts'
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
import type { PostedBuffer, RxCompletion, RxFrontEnd } from './rx-front-end.ts'

/** Parts that both ends of a queue's rings are made from. They cross `postMessage`. */
export interface RxRings extends RingParts {
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

/** Word of the count of completions that the driver has read, on a line that each ring leaves free. */
const REAPED = 32
const COMPLETION_WORDS = 8

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
  const memory = createRingMemory(entries, COMPLETION_WORDS, firstCount)
  return { memory, entries, headers, doorbell }
}

/**
 * Checks rings that come from another thread.
 *
 * @throws NETMEM_OUT_OF_RANGE unless {@link createRxRings} could have made them.
 */
export function checkRxRings(rings: RxRings): void {
  const entries = checkRing(rings, 1, COMPLETION_WORDS)
  if (rings.headers !== undefined) checkHeaders(rings.headers, entries)
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
export class DriverRxRing extends DriverRing {
  /** Count of the completions known to be in the ring. */
  #completed = this.reaped

  /**
   * Posts a buffer, which the NIC sees after {@link flush}. The driver keeps at most `entries`
   * buffers posted and not completed.
   */
  post(id: number, region: number, offset: number, bytes: number): void {
    this.push(id, region, offset, bytes)
  }

  /** Makes posted buffers and polled completions visible to the NIC. */
  override flush(): void {
    Atomics.store(this.words, REAPED, this.reaped)
    super.flush()
  }

  /** Reads the next completion. Returns false if there is none. */
  poll(into: RxCompletion): boolean {
    if (this.reaped === this.#completed) {
      this.#completed = Atomics.load(this.words, COMPLETED)
      if (this.reaped === this.#completed) return false
    }
    const words = this.words
    const at = this.endWord + (this.reaped & this.mask) * COMPLETION_WORDS
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
    this.reaped = (this.reaped + 1) | 0
    return true
  }

  /** Index of the header buffer of the completion that {@link poll} read last. */
  get headerBuffer(): number {
    return (this.reaped - 1) & this.mask
  }
}

/** NIC's end of the rings of a receive queue. */
export class NicRxRing extends NicRing implements RxFrontEnd {
  readonly everyPacketTakesABuffer: boolean = false
  readonly noOffset: boolean = false
  readonly #headers: RxRings['headers']
  readonly #doorbell: Int32Array
  #completed: number

  constructor(rings: RxRings) {
    super(rings)
    this.#headers = rings.headers
    this.#doorbell = new Int32Array(rings.doorbell)
    this.#completed = Atomics.load(this.words, COMPLETED)
  }

  peek(ahead: number, into: PostedBuffer): boolean {
    if (((this.found - this.taken) | 0) <= ahead && this.posted() <= ahead) return false
    const words = this.words
    const at = this.entryAt(this.taken + ahead)
    into.id = words[at] ?? -1
    into.region = words[at + 1] ?? -1
    into.offset = words[at + 2] ?? 0
    into.bytes = words[at + 3] ?? 0
    return true
  }

  take(count: number): void {
    this.taken = (this.taken + count) | 0
  }

  room(): number {
    const used = (this.#completed - Atomics.load(this.words, REAPED)) | 0
    return this.mask + 1 - Math.max(0, used)
  }

  headerBuffer(into: PostedBuffer): void {
    into.region = -1
    if (this.#headers === undefined) return
    let index = this.#completed & this.mask
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
    const words = this.words
    const at = this.endWord + (this.#completed & this.mask) * COMPLETION_WORDS
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
    this.publish(this.#completed)
    endNaps(this.#doorbell)
  }
}
