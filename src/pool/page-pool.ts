/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The page pool: hands out netmem on the receive path and takes it back. This is its typed face, which
 * converts handles and integers. `pool-core.ts` does the work.
 */

import { checkInteger, ownOptions } from '../errors.ts'
import type { Exactly, NetIov, Netmem, Page, Place } from '../netmem.ts'
import * as netmem from '../netmem.ts'
import type { Copies } from './copies.ts'
import { fragOf, type HostFrag } from './frag.ts'
import type { Holder } from './leaks.ts'
import type { PoolShare } from './lent.ts'
import type { PoolCore } from './pool-core.ts'
import { Reservation } from './reservation.ts'
import type { PagePoolStats } from './stats.ts'

// Constants as in pool-core.ts: an engine inlines through a module's own constants at once.
const { bits, mint } = netmem

/**
 * The descriptor table keeps a pool's core: once the application has dropped the pool, no memory can be
 * allocated any more. So the pool ends as soon as all memory is back.
 */
const dropped = new FinalizationRegistry<PoolCore>((core) => void core.destroy(false))

/**
 * A pool of `M`, made by `createPool` from a provider of one kind or by `dualPool` from either.
 * `PagePool<Page>`, `PagePool<NetIov>` and `PagePool<Netmem>` are three different types, none
 * assignable to another. A pool belongs to the thread that made it.
 *
 * @example
 * ```ts
 * import { createPool, hostProvider } from 'netmem'
 *
 * const pool = createPool(hostProvider({ pages: 64, pageSize: 256 * 1024 }))
 * const page = pool.alloc()
 * if (page !== undefined) {
 *   pool.bytes(page).fill(0)
 *   pool.put(page)
 * }
 * await pool.destroy()
 * ```
 */
export class PagePool<in out M extends Netmem> implements AsyncDisposable {
  /**
   * @internal Does the pool's work. Declared, since a field that the class made would be `undefined`
   * first, and its type be checked at each use: alloc and put took 1.8 times as long.
   */
  declare readonly core: PoolCore
  readonly #name: string
  /** Bytes of each netmem. */
  readonly pageSize: number
  /** Netmem it has at most. */
  readonly capacity: number

  /** @internal */
  constructor(core: PoolCore) {
    this.#name = core.name
    this.pageSize = core.pageSize
    this.capacity = core.capacity
    this.core = core
    dropped.register(this, core)
  }

  /** Name of the pool, as given to `createPool`. Default: `pool 1` and so on. */
  get name(): string {
    return this.#name
  }

  /** Kind of its memory. For a dual pool, the kind of its provider. */
  get kind(): 'page' | 'net_iov' {
    return this.core.kind
  }

  /** @internal True if its memory can be detached, shrunk or unmapped by others: see `PageProvider.mayMove`. */
  get mayMove(): boolean {
    return this.core.mayMove
  }

  /** @internal Counts of the copies that its receivers have made. */
  get copies(): Copies {
    return this.core.copies
  }

  /**
   * Takes one netmem with one reference, or returns `undefined` when the pool is dry. Then stop reading
   * until {@link notify} or {@link whenAvailable} says that memory came back.
   *
   * @throws NETMEM_POOL_DESTROYED after `destroy()`.
   */
  alloc(): M | undefined {
    const handle = this.core.alloc()
    return handle === undefined ? undefined : mint(handle)
  }

  /**
   * Gives one reference back. The last one recycles the memory into the cache. With `allowDirect: false`
   * it goes through the ring, as for callers outside the owner's context in the kernel. `release` of this
   * package does the same without knowing the pool, and into the cache.
   *
   * @throws NETMEM_WRONG_KIND, NETMEM_STALE_HANDLE, NETMEM_DOUBLE_PUT, or NETMEM_FOREIGN_HANDLE for
   *   a handle of another pool, all before anything is changed.
   */
  put(m: Exactly<M>, allowDirect = true): void {
    this.core.put(bits(m), allowDirect)
  }

  /**
   * References of a netmem that is out: 1 or more.
   *
   * @throws as {@link put} does.
   */
  references(m: Exactly<M>): number {
    return this.core.references(bits(m))
  }

  /**
   * All bytes of a page that is out: the same view each time. A net_iov has no bytes, and asking does not
   * compile.
   *
   * @throws as {@link put} does.
   */
  bytes(page: Exactly<M & Page>): Uint8Array {
    return this.core.bytes(bits(page))
  }

  /**
   * Place of a net_iov that is out: its dma-buf's binding, and its offset there. The same object each
   * time. A page has no place, and asking does not compile.
   *
   * @throws as {@link put} does.
   *
   * @example
   * ```ts
   * import { createPool } from 'netmem'
   * import { testDeviceProvider } from 'netmem/testing'
   *
   * const pool = createPool(testDeviceProvider({ netIovs: 8, pageSize: 4096 }))
   * const iov = pool.alloc()
   * if (iov !== undefined) {
   *   const { binding, offset } = pool.place(iov)
   *   console.log(binding.id, offset) // 1 0
   *   pool.put(iov)
   * }
   * ```
   */
  place(iov: Exactly<M & NetIov>): Place {
    return this.core.place(bits(iov))
  }

  /**
   * Takes room for at least `minBytes` in one page: the rest of a page that an earlier reservation
   * left partly empty, or a fresh page. Fill it from `offset` on, then `commit` what was filled or
   * `cancel`. `undefined` when the pool is dry.
   *
   * @param minBytes 1 to {@link pageSize}.
   * @throws NETMEM_OUT_OF_RANGE, and NETMEM_POOL_DESTROYED after `destroy()`.
   */
  reserve(minBytes: number): Reservation<M> | undefined {
    const rest = this.reserveRest(minBytes)
    if (rest !== undefined) return rest
    const m = this.alloc()
    return m === undefined ? undefined : new Reservation<M>(this.core.frags, bits(m), 0)
  }

  /**
   * @internal {@link reserve} of a partly filled page only, or `undefined` if no such page has the room.
   */
  reserveRest(minBytes: number): Reservation<M> | undefined {
    checkInteger('minBytes', minBytes, 1, this.pageSize)
    const rest = this.core.frags.takeRest(minBytes)
    return rest === undefined ? rest : new Reservation<M>(this.core.frags, rest.handle, rest.offset)
  }

  /**
   * Makes a frag of `bytes` bytes in a partly filled page or a fresh one, for the caller to fill:
   * {@link reserve} and its commit at once. `undefined` when the pool is dry.
   *
   * @param bytes 1 to {@link pageSize}.
   * @throws NETMEM_OUT_OF_RANGE, and NETMEM_POOL_DESTROYED after `destroy()`.
   *
   * @example
   * ```ts
   * const frag = pool.allocFrag(100)
   * if (frag !== undefined) {
   *   frag.bytes.fill(7) // 100 bytes
   *   frag.release()
   * }
   * ```
   */
  allocFrag(this: PagePool<Page>, bytes: number): HostFrag | undefined {
    const reservation = this.reserve(bytes)
    if (reservation === undefined) return undefined
    const { offset } = reservation
    return fragOf(reservation.commit(bytes), offset, bytes)
  }

  /**
   * Netmem that `alloc` can still hand out, 0 once destroyed. Memory that a dry provider has not given
   * yet does not count.
   */
  get available(): number {
    return this.core.available
  }

  /** Netmem that drivers and applications have, in this thread and in others. */
  get out(): number {
    return this.core.out
  }

  /** Held − released: what the provider has given and not got back, cache and ring included. */
  get inflight(): number {
    return this.core.inflight
  }

  /** True once {@link destroy} has been called. */
  get destroyed(): boolean {
    return this.core.destroyed
  }

  /**
   * Calls `callback` once, when memory is there again or the pool is destroyed: at the end of the
   * current job where that is so already. Callbacks are called in their order.
   */
  notify(callback: () => void): void {
    this.core.notify(callback)
  }

  /** Resolves when `alloc` has something to give, or the pool is destroyed. */
  whenAvailable(): Promise<void> {
    return new Promise((resolve) => this.notify(resolve))
  }

  /**
   * Lets other threads read this pool's pages: post the result to a worker and `attachPool()` it there,
   * then post frags as `frag.lend(worker)` gives them. `lends` limits frags that are lent at once: 1 to
   * 2^20. Default: one for each 8 KiB, since frags of sockets are not smaller, and at least four per
   * page. The first call settles it.
   *
   * @throws NETMEM_NOT_SHARED unless the provider's memory is a SharedArrayBuffer.
   */
  share(this: PagePool<Page>, options: { readonly lends?: number } = {}): PoolShare {
    return this.core.sharePool(ownOptions('share()', options, { lends: true }).lends)
  }

  /** @internal Lists the holders of its memory, the longest first. Empty without `traceLeaks`. */
  holders(): Holder[] {
    return this.core.holders()
  }

  /** Counters of the pool as they stand. */
  stats(): PagePoolStats {
    return this.core.stats()
  }

  /**
   * Ends the pool. Memory that is out may come back at any later time. The promise resolves when all of
   * it is back. Then the provider is free for another pool. Waiting long is reported once a minute as
   * `netmem:destroy` on diagnostics_channel, or as a warning. A second call returns the same promise.
   */
  destroy(): Promise<void> {
    return this.core.destroy(true)
  }

  /** Destroys the pool and waits until all of its memory is back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy()
  }
}
