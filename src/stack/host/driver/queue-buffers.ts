/** Buffers that a queue has posted to the NIC, by their numbers in the ring. */

import { checkInteger } from '../../../errors.ts'
import type { Netmem } from '../../../netmem.ts'
import type { MemoryVisitor } from '../../../pool/memory-users.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { Reservation } from '../../../pool/reservation.ts'
import type { DriverRxRing } from '../../rings/shared-rings.ts'
import type { DmaMap } from './dma-map.ts'

export class QueueBuffers<in out M extends Netmem> {
  readonly #pool: PagePool<M>
  readonly #map: DmaMap<M>
  readonly #ring: DriverRxRing
  readonly #bytes: number
  /** Memory of each buffer, with one reference. */
  readonly #memory: (M | undefined)[] = []
  /** Offset of each buffer in its memory. */
  readonly #starts: Int32Array
  /** Numbers that are free, of which the first `#freeCount` count. */
  readonly #free: Int32Array
  #freeCount: number

  /**
   * @param bytes Bytes of each buffer: 256 to the page size.
   * @throws NETMEM_OUT_OF_RANGE for `bytes`.
   */
  constructor(
    pool: PagePool<M>,
    map: DmaMap<M>,
    ring: DriverRxRing,
    ringSize: number,
    bytes: number,
  ) {
    this.#pool = pool
    this.#map = map
    this.#ring = ring
    this.#bytes = checkInteger('bufferBytes', bytes, 256, pool.pageSize)
    this.#starts = new Int32Array(ringSize)
    this.#free = Int32Array.from({ length: ringSize }, (_, at) => ringSize - 1 - at)
    this.#freeCount = ringSize
  }

  /** Number of buffers that are not posted. */
  get free(): number {
    return this.#freeCount
  }

  /** Posts as many buffers as the ring has room for. Returns false if the pool ran dry before. */
  fill(): boolean {
    const pool = this.#pool
    const bytes = this.#bytes
    // A whole page needs no reservation, which would be an object for each packet.
    const whole = bytes === pool.pageSize
    let rest: Reservation<M> | undefined
    while (this.#freeCount > 0) {
      if (!whole && (rest === undefined || rest.room < bytes)) {
        rest?.cancel()
        rest = pool.reserve(bytes)
      }
      const start = rest?.offset ?? 0
      const m = whole ? pool.alloc() : rest?.commit(bytes, true)
      if (m === undefined) break
      const id = this.#free[--this.#freeCount] ?? 0
      this.#memory[id] = m
      this.#starts[id] = start
      this.#ring.post(id, this.#map.region(m), this.#map.offset(m) + start, bytes)
    }
    rest?.cancel()
    this.#ring.flush()
    return this.#freeCount === 0
  }

  /** Returns the memory of a buffer, or `undefined` if none with that number is posted. */
  memory(id: number): M | undefined {
    return id < 0 ? undefined : this.#memory[id]
  }

  /** Returns the offset of a buffer in its memory. */
  start(id: number): number {
    return this.#starts[id] ?? 0
  }

  /** Makes the number of a completed buffer free. Its reference is the caller's. */
  forget(id: number): void {
    this.#memory[id] = undefined
    this.#free[this.#freeCount++] = id
  }

  /** Visits the memory of all buffers. */
  visitMemory(visit: MemoryVisitor): void {
    for (const m of this.#memory) if (m !== undefined) visit(m, 'posted')
  }

  /** Gives back the memory of all buffers. The NIC must have stopped the queue. */
  close(): void {
    for (const m of this.#memory.splice(0)) if (m !== undefined) this.#pool.put(m)
  }
}
