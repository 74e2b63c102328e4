/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Reservations: the rest of a partly filled page, or a fresh page, for one filler at a time. The pool
 * cuts its memory into fragments here, for sockets, request bodies, drivers and decoders alike (Linux,
 * page_pool_alloc_frag_netmem).
 */

import { checkInteger, HandleError } from '../errors.ts'
import { bits, mint, type Netmem } from '../netmem.ts'
import type { FragMemory } from './frag-memory.ts'

/**
 * Offsets in a page at which the next payload begins are multiples of this: kernels copy at full
 * speed when the destination is aligned (0.19 s of CPU per GB at offset 0, 0.70 at 16, 0.23 at 128).
 */
export const COPY_ALIGNMENT = 128

/**
 * Room in one page of a pool, made by `PagePool.reserve`. It holds one reference until it is
 * committed or cancelled.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 *
 * const pool = createPool(hostProvider({ pages: 4, pageSize: 4096 }))
 * const reservation = pool.reserve(100)
 * if (reservation !== undefined) {
 *   const { page, offset } = reservation
 *   pool.bytes(page).fill(7, offset, offset + 60)
 *   reservation.commit(60) // the caller has a reference now, for these 60 bytes
 *   pool.put(page)
 * }
 * ```
 */
export class Reservation<in out M extends Netmem> implements Disposable {
  /** Handle of the memory that is filled: a page, or a net_iov of a pool of device memory. */
  readonly page: M
  #offset: number
  /** Undefined once it has ended. */
  #memory: FragMemory | undefined

  /** @internal Takes over one reference of `handle`. */
  constructor(memory: FragMemory, handle: number, offset: number) {
    this.page = mint(handle)
    this.#offset = offset
    this.#memory = memory
  }

  /** Bytes from the page's start to the room's first byte: a multiple of 128. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes that may be filled, up to the page's end. 0 once committed or cancelled. */
  get room(): number {
    return this.#memory === undefined ? 0 : this.#memory.pool.pageSize - this.#offset
  }

  /**
   * The first `bytes` of the room are filled: returns the page with one reference, for a frag of that
   * range to take over, and ends the reservation. The rest of the page goes to the pool's next
   * reservation.
   *
   * @param bytes 0 to {@link room}.
   * @param more True to keep the reservation: it moves behind these bytes and keeps a reference
   *   while there is room. It has ended if {@link room} is 0 afterwards.
   * @throws NETMEM_OUT_OF_RANGE, and NETMEM_STALE_HANDLE once it has ended.
   */
  commit(bytes: number, more = false): M {
    const memory = this.#memory
    if (memory === undefined) throw ended()
    const { pageSize } = memory.pool
    checkInteger('bytes', bytes, 0, pageSize - this.#offset)
    const end = (this.#offset + bytes + COPY_ALIGNMENT - 1) & -COPY_ALIGNMENT
    if (more && end < pageSize) {
      memory.pool.retain(bits(this.page), 1)
      this.#offset = end
    } else {
      this.#memory = undefined
      if (end < pageSize) memory.leave(bits(this.page), end)
    }
    return this.page
  }

  /** Gives the room back unused. Has no effect once the reservation has ended. */
  cancel(): void {
    const memory = this.#memory
    if (memory === undefined) return
    this.#memory = undefined
    if (this.#offset > 0) memory.leave(bits(this.page), this.#offset)
    memory.pool.put(bits(this.page), true)
  }

  /** Cancels it, as {@link cancel} does. */
  [Symbol.dispose](): void {
    this.cancel()
  }
}

function ended(): HandleError {
  return new HandleError(
    'NETMEM_STALE_HANDLE',
    'The reservation has been committed or cancelled. Ask the pool for another one.',
  )
}
