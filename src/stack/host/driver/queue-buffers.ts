/** Buffers that a queue has posted to the NIC, by their numbers in the ring. */

import { checkInteger } from '../../../errors.ts'
import type { Netmem } from '../../../netmem.ts'
import type { MemoryVisitor } from '../../../pool/memory-users.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import type { Reservation } from '../../../pool/reservation.ts'
import { checkEntries } from '../../rings/ring-ends.ts'
import type { DriverRxRing } from '../../rings/shared-rings.ts'
import type { DmaMap } from './dma-map.ts'

export class QueueBuffers<in out M extends Netmem> {
  readonly #pool: PagePool<M>
  readonly #map: DmaMap<M>
  readonly #bytes: number
  /** Memory of each buffer, with one reference. */
  readonly #memory: (M | undefined)[] = []
  /** Offset of each buffer in its memory. */
  readonly #starts: Int32Array
  /** Numbers that are free, of which the first `free` count. */
  readonly #freeIds: Int32Array
  /** Number of buffers that are not posted. */
  free: number

  /**
   * @param ringSize Number of buffers: a power of two.
   * @param bytes Bytes of each buffer: 256 to the page size.
   * @throws NETMEM_OUT_OF_RANGE for either.
   */
  constructor(pool: PagePool<M>, map: DmaMap<M>, ringSize: number, bytes: number) {
    this.#pool = pool
    this.#map = map
    this.#bytes = checkInteger('bufferBytes', bytes, 256, pool.pageSize)
    this.free = checkEntries(ringSize, 1)
    this.#starts = new Int32Array(ringSize)
    this.#freeIds = Int32Array.from({ length: ringSize }, (_, at) => ringSize - 1 - at)
  }

  /** Posts as many buffers as the ring has room for. Returns false if the pool ran dry before. */
  fill(ring: DriverRxRing): boolean {
    const pool = this.#pool
    const bytes = this.#bytes
    // A whole page needs no reservation, which would be an object for each packet.
    const whole = bytes === pool.pageSize
    let rest: Reservation<M> | undefined
    while (this.free > 0) {
      if (!whole && (rest === undefined || rest.room < bytes)) {
        rest?.cancel()
        rest = pool.reserve(bytes)
      }
      const start = rest?.offset ?? 0
      const m = whole ? pool.alloc() : rest?.commit(bytes, true)
      if (m === undefined) break
      const id = this.#freeIds[--this.free] ?? 0
      this.#memory[id] = m
      this.#starts[id] = start
      ring.post(id, this.#map.region(m), this.#map.offset(m) + start, bytes)
    }
    rest?.cancel()
    ring.flush()
    return this.free === 0
  }

  /**
   * Takes the memory of a completed buffer, and its reference. Its number is free then.
   *
   * @returns `undefined` if no buffer with that number is posted.
   */
  take(id: number): M | undefined {
    const m = id < 0 ? undefined : this.#memory[id]
    if (m === undefined) return undefined
    this.#memory[id] = undefined
    this.#freeIds[this.free++] = id
    return m
  }

  /** Returns the offset of a buffer in its memory, also after {@link take}. */
  start(id: number): number {
    return this.#starts[id] ?? 0
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
