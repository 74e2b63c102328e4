/**
 * The page that one connection fills, and the connection's place in the queue for memory.
 */

import { LifetimeError } from '../../errors.ts'
import type { Page } from '../../netmem.ts'
import { copiedFrag, fragIn, fragOf, type HostFrag } from '../../pool/frag.ts'
import { FragAccount } from '../../pool/frag-account.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { Reservation } from '../../pool/reservation.ts'
import { poolGone } from '../receivers/destination-memory.ts'
import type { ReceiverDriver } from '../receivers/receiver.ts'
import { type PageConsumer, PageSupply } from './page-supply.ts'

export class PageFill implements PageConsumer {
  readonly account: FragAccount = new FragAccount()
  readonly #driver: ReceiverDriver
  readonly #pool: PagePool<Page>
  readonly #supply: PageSupply
  #present: Reservation<Page> | undefined
  referenced = true

  constructor(pool: PagePool<Page>, driver: ReceiverDriver) {
    this.#driver = driver
    this.#pool = pool
    this.#supply = PageSupply.of(pool)
  }

  /** Present page, if any. */
  get page(): Page | undefined {
    return this.#present?.page
  }

  /** Bytes that fit the present page. */
  get room(): number {
    return this.#present?.room ?? 0
  }

  /**
   * Rest of the present page, for the next read. `undefined` without one, or if its memory is gone,
   * which ends the connection.
   */
  rest(): Uint8Array | undefined {
    if (this.#present === undefined) return undefined
    const { page, offset } = this.#present
    try {
      const bytes = this.#pool.bytes(page)
      return offset === 0 ? bytes : bytes.subarray(offset)
    } catch (error) {
      this.#driver.abandon(poolGone(error))
      return undefined
    }
  }

  /**
   * Makes a frag of `bytes` bytes that arrived in the present page. The rest of the page stays
   * present with `more`. Otherwise it is left to the next read of any connection.
   */
  cut(bytes: number, more: boolean): HostFrag | undefined {
    const present = this.#present
    if (present === undefined) return undefined
    const { offset } = present
    const page = present.commit(bytes, more)
    if (present.room === 0) this.#present = undefined
    return fragOf(page, offset, bytes, this.account)
  }

  /** Makes a frag of a copy of `bytes`: in the present page if they are more than copies may hold. */
  copy(bytes: Uint8Array, full: boolean): HostFrag | undefined {
    const copies = !full && (this.#supply.mayCopy || bytes.byteLength > this.#pool.pageSize)
    if (copies || !this.take(bytes.byteLength)) return copiedFrag(this.#pool, bytes, this.account)
    const memory = this.rest()
    if (memory === undefined) return undefined
    memory.set(bytes)
    return this.cut(bytes.byteLength, full && this.#driver.postsPages)
  }

  /**
   * Copies `bytes` and makes a frag of the copy. It lies in a page if one is free, otherwise in separate
   * memory.
   */
  fragOf(bytes: Uint8Array): HostFrag {
    const reserved = this.#supply.reserve(bytes.byteLength)
    try {
      if (reserved !== undefined) return fragIn(reserved, bytes, this.account)
    } catch (error) {
      this.#driver.abandon(poolGone(error))
    }
    return copiedFrag(this.#pool, bytes, this.account)
  }

  /**
   * Makes a page with room for `bytes` the present one. Without one, joins the queue for memory.
   */
  take(bytes: number): boolean {
    this.#present = this.#supply.take(this, bytes)
    return this.#present !== undefined
  }

  /** Gives up the present page. Frags keep what they hold of it. */
  drop(): void {
    this.#present?.cancel()
    this.#present = undefined
  }

  /** True if there is memory for the next read. If not, reading starts again when some came back. */
  hasMemory(): boolean {
    return this.#present !== undefined || this.#supply.mayRead(this)
  }

  /** Keeps the process alive while the connection waits for memory, or lets it end. */
  keepAlive(referenced: boolean): void {
    this.referenced = referenced
    this.#supply.queueChanged()
  }

  /** Leaves the queue for memory. */
  leaveQueue(): void {
    this.#supply.leaveQueue(this)
  }

  /** Ends the connection's use of the pool. */
  end(): void {
    this.drop()
    this.leaveQueue()
  }

  readonly wake = (): void => {
    if (!this.#pool.destroyed) {
      this.#driver.readOn()
      return
    }
    const message = 'The pool of this connection was destroyed while it waited for memory.'
    this.#driver.fail(new LifetimeError('NETMEM_POOL_DESTROYED', message))
  }
}
