/**
 * Shares the pages of one pool among its connections. Partly filled pages go first. Connections take
 * turns when more of them want a page than the pool has.
 */

import type { Page } from '../../netmem.ts'
import { COPY_OVERHEAD, RX_COPYBREAK } from '../../pool/copies.ts'
import type { FragAccount } from '../../pool/frag-account.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import type { Reservation } from '../../pool/reservation.ts'
import { DryWatch } from './dry-watch.ts'

/** A connection, or another filler of pages, as the supply sees it. */
export interface PageConsumer {
  /** False if the process may end while the connection waits for memory. */
  readonly referenced: boolean
  /** Bytes that the frags of the connection hold. */
  readonly account: FragAccount
  /** Called when there may be memory again, and when the pool is destroyed. */
  readonly wake: () => void
}

/** Bytes that a connection may hold and still read while connections wait for a page. */
const HELD_WHILE_DRY = 64 * 1024
/** Bytes that the next read needs if it is copied. */
const ONE_COPY = RX_COPYBREAK + COPY_OVERHEAD

export class PageSupply {
  readonly #pool: PagePool<Page>
  /** Connections that wait for memory, in their order. */
  #waiting = new Set<PageConsumer>()
  /** Connections that were woken and have not taken their page yet. */
  readonly #turns = new Set<PageConsumer>()
  #pumping = false
  readonly #dryWatch: DryWatch
  /** Connections that may not read because of too many copies. */
  readonly #copyWaiters = new Set<PageConsumer>()

  static readonly #supplies = new WeakMap<PagePool<Page>, PageSupply>()

  static of(pool: PagePool<Page>): PageSupply {
    let supply = PageSupply.#supplies.get(pool)
    if (supply === undefined) {
      supply = new PageSupply(pool)
      PageSupply.#supplies.set(pool, supply)
    }
    return supply
  }

  private constructor(pool: PagePool<Page>) {
    this.#pool = pool
    this.#dryWatch = new DryWatch(pool)
  }

  /**
   * Reserves room for `bytes` in a partly filled page or a free one, or `undefined` while
   * connections wait for it.
   */
  reserve(bytes: number): Reservation<Page> | undefined {
    return this.#pool.reserveRest(bytes) ?? (this.#hasFree ? this.#pool.reserve(bytes) : undefined)
  }

  /**
   * True if a page is available that no connection waits for. Pages reserved for woken connections
   * are not free.
   */
  get #hasFree(): boolean {
    return this.#waiting.size === 0 && this.#pool.available > this.#turns.size
  }

  /** True if a read that fits a small buffer may be copied rather than put into a page. */
  get mayCopy(): boolean {
    return this.#pool.copies.copyRoom >= ONE_COPY
  }

  /**
   * True if `consumer` may read into its small buffer, from which a frag is made. A connection that
   * holds nothing always may. Otherwise it needs a page, or room for a copy. While connections wait
   * for pages, the copy must also be within its budget. A consumer that may not read waits for memory.
   */
  mayRead(consumer: PageConsumer): boolean {
    const { account } = consumer
    if (account.held === 0 || this.#mayHoldMore(consumer)) {
      account.onRelease = undefined
      this.#copyWaiters.delete(consumer)
      return true
    }
    if (!this.mayCopy) {
      this.#copyWaiters.add(consumer)
      this.#pool.copies.onCopyDropped = this.#copyDropped
    }
    account.onRelease = consumer.wake
    if (!this.#waiting.has(consumer)) this.#wait(consumer)
    return false
  }

  #mayHoldMore(consumer: PageConsumer): boolean {
    const inBudget =
      this.#waiting.size === 0 || consumer.account.held + RX_COPYBREAK <= HELD_WHILE_DRY
    return (inBudget && this.mayCopy) || this.#turns.has(consumer) || this.#hasFree
  }

  /**
   * Reserves as {@link reserve} does, but `consumer` has its turn, or joins the queue for memory.
   */
  take(consumer: PageConsumer, bytes: number): Reservation<Page> | undefined {
    if (this.#waiting.has(consumer)) return undefined
    const itsTurn = this.#turns.delete(consumer)
    const reserved =
      itsTurn && !this.#pool.destroyed ? this.#pool.reserve(bytes) : this.reserve(bytes)
    // A connection that had its turn and found no page is first in the queue.
    if (reserved === undefined) this.#wait(consumer, itsTurn)
    return reserved
  }

  #wait(consumer: PageConsumer, first = false): void {
    if (first) this.#waiting = new Set([consumer, ...this.#waiting])
    else this.#waiting.add(consumer)
    this.queueChanged()
    if (!this.#pumping) this.#listen()
  }

  /** Number of connections that wait for memory. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Removes `consumer` from the queue for memory. */
  leaveQueue(consumer: PageConsumer): void {
    consumer.account.onRelease = undefined
    this.#turns.delete(consumer)
    this.#copyWaiters.delete(consumer)
    if (this.#waiting.delete(consumer)) this.queueChanged()
  }

  /** Wakes as many connections as may make a copy now. Each asks again afterwards. */
  readonly #copyDropped = (): void => {
    this.#dryWatch.cameBack()
    let room = this.#pool.copies.copyRoom
    for (const consumer of this.#copyWaiters) {
      room -= ONE_COPY
      if (room < 0) return
      this.#copyWaiters.delete(consumer)
      consumer.wake()
    }
    if (this.#copyWaiters.size === 0) this.#pool.copies.onCopyDropped = undefined
  }

  /** Notes that the queue has changed, or {@link PageConsumer.referenced} of a connection. */
  queueChanged(): void {
    const waiting = [...this.#waiting]
    this.#dryWatch.update(
      waiting.length,
      waiting.some(({ referenced }) => referenced),
    )
  }

  #listen(): void {
    this.#pumping = true
    this.#pool.notify(() => this.#pump())
  }

  /**
   * Removes the next connections from the queue: first those that hold no more than their share, in
   * the order of their waiting.
   */
  #dequeue(count: number): ReadonlySet<PageConsumer> {
    const { capacity, pageSize } = this.#pool
    const share = Math.max(HELD_WHILE_DRY, (capacity * pageSize) / this.#waiting.size)
    const next = new Set<PageConsumer>()
    for (const mostHeld of [share, Infinity]) {
      for (const consumer of this.#waiting) {
        if (next.size >= count) break
        if (consumer.account.held <= mostHeld) next.add(consumer)
      }
    }
    for (const consumer of next) this.#waiting.delete(consumer)
    return next
  }

  /**
   * Wakes as many connections as there are pages, in the order of their waiting. A woken connection
   * may have nothing to read. After two rounds of the event loop each has been read, and a page
   * that was not taken goes to the next connection.
   */
  #pump(): void {
    this.#dryWatch.cameBack()
    const unclaimed = Math.max(0, this.#pool.available - this.#turns.size)
    const consumers = this.#dequeue(this.#pool.destroyed ? Infinity : unclaimed)
    for (const consumer of consumers) {
      this.#turns.add(consumer)
      consumer.wake()
    }
    this.queueChanged()
    setImmediate(() =>
      setImmediate(() => {
        for (const consumer of consumers) this.#turns.delete(consumer)
      }),
    )
    if (this.#waiting.size === 0) this.#pumping = false
    else if (this.#pool.available > 0) setImmediate(() => this.#pump())
    else this.#listen()
  }
}
