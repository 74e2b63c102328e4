/**
 * The receiver that makes frags: the queue of those that have arrived, and the caller that waits
 * for the next one. It is the driver's receiver whenever there is no other, and takes what another
 * leaves.
 */

import type { Page } from '../../netmem.ts'
import { type HostFrag, traceDelivery } from '../../pool/frag.ts'
import { addMemoryUser, type MemoryUser, type MemoryVisitor } from '../../pool/memory-users.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { PageFill } from '../driver/page-fill.ts'
import { rejectedAtCaller } from '../rejected-at-caller.ts'
import { poolGone } from './destination-memory.ts'
import { FragQueue } from './frag-queue.ts'
import type { Receiver, ReceiverDriver, Wants } from './receiver.ts'

interface FragWaiter {
  /** Identifies the caller to {@link Frags.stopWaiting}: an iterator, or a signal. */
  readonly caller: object | undefined
  readonly resolve: (frag: HostFrag | undefined) => void
  /** Settles the caller's promise as `failed` does, which rejects. */
  readonly fail: (failed: Promise<never>) => void
}

/**
 * Read-ahead limits while a caller receives frag by frag. More would not help: the kernel receives
 * while this thread is busy, and short reads are copies outside the pool.
 */
const READ_AHEAD_BYTES = 64 * 1024
const READ_AHEAD_FRAGS = 64

export class Frags implements Receiver, MemoryUser {
  readonly left: number = Number.POSITIVE_INFINITY
  readonly fill: PageFill
  /** Label of the connection in leak reports, set before anything is received. */
  label: string | undefined
  /** Reads to the end of the stream, received or not: the peer has reset the connection. */
  readsToEnd = false
  /** End of the stream, once it is known. Frags that arrived before can still be received. */
  ended: { readonly error: Error | undefined } | undefined
  readonly #driver: ReceiverDriver
  readonly #pool: PagePool<Page>
  readonly #burst: number
  readonly #readAheadBytes: number
  readonly #queue = new FragQueue()
  #waiter: FragWaiter | undefined
  #streaming = false
  #discarded = false

  /** @param burst - bytes of one read after which more is expected although the page is not full. */
  constructor(pool: PagePool<Page>, burst: number, driver: ReceiverDriver) {
    this.#driver = driver
    this.#pool = pool
    this.#burst = burst
    this.#readAheadBytes = Math.min(READ_AHEAD_BYTES, pool.pageSize)
    this.fill = new PageFill(pool, driver)
    addMemoryUser(this)
  }

  visitMemory(visit: MemoryVisitor): void {
    const { page } = this.fill
    if (page !== undefined) visit(page, 'posted')
    this.#queue.visitMemory(visit)
  }

  /** True while a caller waits for a frag. */
  get waiting(): boolean {
    return this.#waiter !== undefined
  }

  /**
   * Receives the next frag, or `undefined` at the end of the stream. {@link stopWaiting} for `caller`
   * gives up the wait.
   */
  receive(caller?: object): Promise<HostFrag | undefined> {
    return new Promise((resolve) => this.#take(resolve, resolve, caller))
  }

  /** {@link receive} for an iterator. One promise a frag: this is the hot path of `for await`. */
  next(iterator: object): Promise<IteratorResult<HostFrag, undefined>> {
    return new Promise((resolve) =>
      this.#take(
        (value) => resolve(value === undefined ? { done: true, value } : { done: false, value }),
        resolve,
        iterator,
      ),
    )
  }

  /** Stops reading ahead for `caller`, and ends its wait if it waits: with `error`, or without a frag. */
  stopWaiting(caller: object, error?: Error): void {
    const waiter = this.#waiter
    // Another caller waits.
    if (waiter !== undefined && waiter.caller !== caller) return
    this.pause()
    this.#waiter = undefined
    if (error === undefined) waiter?.resolve(undefined)
    else waiter?.fail(rejectedAtCaller(error))
  }

  /** Removes a frag that has arrived from the queue. Returns `undefined` if the queue is empty. */
  takeArrived(): HostFrag | undefined {
    const frag = this.#queue.shift()
    if (frag !== undefined && this.#streaming) this.#driver.readOn()
    return frag
  }

  /** Starts reading ahead. */
  resume(): void {
    this.#streaming = true
  }

  /** Stops reading ahead: another receiver takes what arrives. */
  pause(): void {
    this.#streaming = false
    this.fill.leaveQueue()
  }

  /** Passes the bytes of the first queued frag to `receiver`. False when the queue is empty. */
  offerTo(receiver: Receiver): boolean {
    if (this.#queue.length === 0) return false
    try {
      this.#queue.offer(receiver)
    } catch (error) {
      this.#driver.abandon(poolGone(error))
    }
    if (this.#discarded) this.#queue.release()
    return true
  }

  /** Gives back the frags that were not received, and those that still arrive. */
  discard(): void {
    this.#discarded = true
    this.#queue.release()
  }

  wants(): Wants {
    if (this.ended !== undefined) return 'nothing'
    const { length, bytes } = this.#queue
    const ahead = this.#streaming && bytes < this.#readAheadBytes && length < READ_AHEAD_FRAGS
    if (!(ahead || this.readsToEnd) || !this.fill.hasMemory()) return 'nothing'
    return this.#pool.mayMove ? 'afterFullRead' : 'anything'
  }

  memory(): Uint8Array | undefined {
    return this.fill.rest()
  }

  arrived(bytes: number, buffer: Uint8Array | undefined): number {
    if (buffer === undefined) this.#arrivedInPage(bytes)
    else if (bytes === buffer.byteLength) this.#deliver(this.fill.copy(buffer, true))
    else this.takeRest(buffer.subarray(0, bytes))
    return bytes
  }

  /** Takes bytes in the driver's buffer that did not fill it, or that another receiver left. */
  takeRest(bytes: Uint8Array): void {
    this.#deliver(this.fill.copy(bytes, false))
  }

  end(error: Error | undefined): void {
    this.ended = { error }
    this.fill.end()
    const waiter = this.#waiter
    this.#waiter = undefined
    if (error === undefined) waiter?.resolve(undefined)
    else waiter?.fail(rejectedAtCaller(error))
  }

  #arrivedInPage(bytes: number): void {
    const full = bytes === this.fill.room
    this.#deliver(this.fill.cut(bytes, bytes >= this.#burst && this.#driver.postsPages))
    // A read that filled its page continues in the next one.
    if (full && this.#driver.postsPages && this.wants() !== 'nothing') {
      this.fill.take(this.#pool.pageSize)
    }
  }

  #take(
    answer: FragWaiter['resolve'],
    fail: FragWaiter['fail'],
    caller: FragWaiter['caller'],
  ): void {
    this.#driver.checkFree()
    const resolve = this.#pool.copies.tracing ? traceDelivery(answer, this.label) : answer
    const frag = this.takeArrived()
    if (frag !== undefined) {
      resolve(frag)
    } else if (this.ended === undefined) {
      this.#waiter = { resolve, fail, caller }
      this.#streaming = true
      this.#driver.readOn()
    } else if (this.ended.error === undefined) {
      resolve(undefined)
    } else {
      fail(rejectedAtCaller(this.ended.error))
    }
  }

  #deliver(frag: HostFrag | undefined): void {
    const waiter = this.#waiter
    if (frag === undefined) return
    if (waiter !== undefined) {
      this.#waiter = undefined
      waiter.resolve(frag)
    } else if (this.#discarded) {
      frag.release()
    } else {
      this.#queue.push(frag)
    }
  }
}
