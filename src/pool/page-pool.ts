/**
 * The page pool: hands out netmem on the receive path and takes it back. An alloc cache that only
 * the owner touches, a recycle ring behind it, the provider last (Linux, net/core/page_pool.c).
 *
 * One 32-bit state per slot carries all run-time checks: the slot's present handle, so that a
 * single comparison proves kind, generation, pool and sole ownership, or `SHARED` while there are
 * several references, counted beside. Putting moves a slot to its next generation, a handle that
 * nobody has until it is handed out; `alloc` need not touch the state at all.
 *
 * A long file: one class, whose slow paths need the private fields that make its fast path fast.
 */

import { checkInteger, LifetimeError, type OptionNames, ownOptions } from '../errors.ts'
import type { Exactly, Netmem, Page } from '../netmem.ts'
import * as netmem from '../netmem.ts'
import { RX_COPYBREAK } from './frag.ts'
import type { FragAccount } from './frag-account.ts'
import { FragLedger, type Holder, type Keeper } from './frag-ledger.ts'
import { handleError } from './handle-error.ts'
import { remindOfDestroy } from './leaks.ts'
import { type Borrower, Lender, type Lent, type PoolShare } from './lender.ts'
import { type AnyProvider, checkPageSize, checkProvider } from './memory-provider.ts'
import { openProvider, type Source } from './provider-source.ts'
import { RecycleRing } from './recycle-ring.ts'
import { References } from './references.ts'
import type { PagePoolStats } from './stats.ts'
import { Waiters } from './waiters.ts'

// An engine folds a module's own constants and inlines through them, but not those it imports:
// with the imported ones the fast path took twice the time.
const { bits, mint, GENERATION_STEP, HANDLE_MASK, INDEX_MASK, INDEX_SHIFT } = netmem

/** Handles the cache holds; 128 and 64 as in the kernel, where a NAPI poll handles 64 packets. */
const CACHE_SIZE = 128
/** Where the cache's count stands in it. */
const CACHED = 0
/** Handles taken at once from ring or provider. */
const CACHE_REFILL = 64
const RING_SIZE = 1024
const RING_SIZE_MAX = 16384

/** More than one reference; no handle is negative, and as a handle it would name the index nobody has. */
const SHARED = -1

/** What `createPool` and `dualPool` take besides the provider. */
export interface PagePoolOptions {
  /** Slots of the recycle ring: 1 to 16384, rounded up to a power of two; 1024 by default. */
  readonly ringSize?: number
  /**
   * Keeps, for reports, where the application received each frag and allocated each handle, and
   * from which peer. Costs tens of microseconds per frag; off by default.
   */
  readonly traceLeaks?: boolean
}

const NAMES: OptionNames<PagePoolOptions> = { ringSize: true, traceLeaks: true }

/** @internal True if `options` ask for a pool that traces leaks. Throws NETMEM_INVALID_ARGUMENT. */
export function traces(options: PagePoolOptions): boolean {
  return ownOptions('createPool()', options, NAMES).traceLeaks === true
}

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
export class PagePool<in out M extends Netmem> {
  /** Bytes of each netmem. */
  readonly pageSize: number
  /** Netmem it has at most. */
  readonly capacity: number
  /** @internal What is known of the frags that hold this pool's memory. */
  readonly ledger: FragLedger

  // The fast path. Fields that begin with a value of their type, here a placeholder, are not checked
  // at each use; a count in an array is 32 bits wide for load and store alike, which a processor
  // passes on sooner than an engine's tagged integer. Together: a fifth of alloc and put.
  /** How many handles are ready to be handed out, and from index 1 on their integers, last in first out. */
  readonly #cache = new Int32Array(1 + CACHE_SIZE)
  /** CACHE_SIZE; 0 while every put must take the slow path, because somebody waits or the pool is destroyed. */
  #cacheLimit = CACHE_SIZE
  readonly #state: Int32Array = new Int32Array(0)
  readonly #base: number = 0
  #fast = 0

  // The slow path.
  readonly #source: Source
  readonly #ring: RecycleRing
  readonly #references: References
  readonly #views: (Uint8Array | undefined)[] = []
  readonly #waiters = new Waiters()
  #lender: Lender | undefined
  #destroyed: { readonly promise: Promise<void>; readonly finish: () => void } | undefined
  #finished = false
  #held = 0
  #released = 0
  #filled = 0
  #drained = 0
  #slow = 0
  #empty = 0
  #refill = 0
  #cacheFull = 0
  #ringPuts = 0
  #ringFull = 0
  #releasedRefcnt = 0

  /** @internal */
  constructor(provider: AnyProvider, options: PagePoolOptions) {
    checkProvider(provider)
    const { ringSize = RING_SIZE, traceLeaks = false } = ownOptions('createPool()', options, NAMES)
    this.pageSize = checkPageSize(provider.pageSize)
    this.capacity = checkInteger('capacity', provider.capacity, 1, netmem.MAX_SLOTS)
    this.ledger = new FragLedger(this.pageSize, traceLeaks, this.capacity * this.pageSize)
    this.#ring = new RecycleRing(checkInteger('ringSize', ringSize, 1, RING_SIZE_MAX))
    this.#references = new References(this.capacity)
    const { base, handles } = netmem.claimHandles(provider.kind, this.capacity)
    this.#base = base
    this.#state = handles
    try {
      this.#source = openProvider(provider, base, this.#state)
    } catch (error) {
      netmem.releaseHandles(base, handles)
      throw error
    }
  }

  /** What its memory is; of a dual pool, what its provider turned out to have. */
  get kind(): 'page' | 'net_iov' {
    return this.#source.kind
  }

  /** @internal True if its memory can be detached, shrunk or unmapped by others: see `PageProvider.mayMove`. */
  get mayMove(): boolean {
    return this.#source.mayMove
  }

  /**
   * Takes one netmem with one reference; `undefined` when the pool is dry: stop reading until
   * {@link notify} or {@link whenAvailable} says that memory came back.
   * Throws NETMEM_POOL_DESTROYED after `destroy()`.
   */
  alloc(): M | undefined {
    const cache = this.#cache
    const cached = cache[CACHED] ?? 0
    if (cached > 0) {
      const handle = cache[cached]
      if (handle !== undefined) {
        cache[CACHED] = cached - 1
        this.#fast++
        return mint(handle)
      }
    }
    return this.#allocSlow()
  }

  /**
   * Gives one reference back; the last one recycles the memory, into the cache or, with
   * `allowDirect: false`, through the ring as callers outside the owner's context do in the kernel.
   * Throws NETMEM_WRONG_KIND, NETMEM_STALE_HANDLE, NETMEM_DOUBLE_PUT or NETMEM_FOREIGN_HANDLE,
   * before anything is changed.
   */
  put(m: Exactly<M>, allowDirect = true): void {
    const handle = bits(m)
    const slot = ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.#base
    const cache = this.#cache
    const cached = cache[CACHED] ?? 0
    // NaN: beyond the slots, where `undefined` would equal an undefined handle.
    if ((this.#state[slot] ?? NaN) === handle && allowDirect && cached < this.#cacheLimit) {
      const next = (handle + GENERATION_STEP) & HANDLE_MASK
      this.#state[slot] = next
      cache[cached + 1] = next
      cache[CACHED] = cached + 1
      return
    }
    this.#putSlow(handle, slot, allowDirect)
  }

  /**
   * Adds references, so that one netmem can carry several frags; each is given back by `put`.
   * `count` is 1 to 2^20, and a netmem has at most 2^31 − 1. Throws as {@link put} does.
   */
  ref(m: Exactly<M>, count = 1): void {
    checkInteger('count', count, 1, 2 ** 20)
    const handle = bits(m)
    const slot = this.#check(handle)
    const references = checkInteger('references', this.references(m) + count, 2, 0x7fff_ffff)
    this.#state[slot] = SHARED
    this.#references.set(slot, handle, references)
  }

  /** References of a netmem that is out: 1 or more. Throws as {@link put} does. */
  references(m: Exactly<M>): number {
    const handle = bits(m)
    const slot = this.#check(handle)
    return this.#state[slot] === handle ? 1 : this.#references.of(slot)
  }

  /**
   * All bytes of a page that is out: the same view each time. Of a net_iov there are none, and
   * asking does not compile. Throws as {@link put} does.
   */
  bytes(page: Exactly<M & Page>): Uint8Array {
    const handle = bits(page)
    const slot = this.#check(handle)
    const view = this.#views[slot]
    // A view is emptied when a WebAssembly memory grows.
    if (view !== undefined && view.byteLength !== 0) return view
    const fresh = this.#source.bytes(handle)
    this.#views[slot] = fresh
    return fresh
  }

  /** Netmem that `alloc` can still hand out; 0 once destroyed. */
  get available(): number {
    return this.#destroyed === undefined ? this.capacity - this.out : 0
  }

  /** Netmem that drivers and applications have, in this thread and in others. */
  get out(): number {
    this.#collectReturned()
    return this.inflight - this.#cached - this.#ring.length
  }

  /** Held − released: what the provider has given and not got back, cache and ring included. */
  get inflight(): number {
    return (this.#held - this.#released) | 0
  }

  /** Whether {@link destroy} has been called. */
  get destroyed(): boolean {
    return this.#destroyed !== undefined
  }

  /**
   * Calls `callback` once, when memory is there again or the pool is destroyed: at the end of the
   * current job where that is so already. Callbacks are called in their order.
   */
  notify(callback: () => void): void {
    if (this.#destroyed !== undefined || this.available > 0) {
      queueMicrotask(callback)
      return
    }
    this.#waiters.add(callback)
    this.#cacheLimit = 0
    this.#lender?.wakeOwner()
  }

  /** Resolves when `alloc` has something to give, or the pool is destroyed. */
  whenAvailable(): Promise<void> {
    return new Promise((resolve) => this.notify(resolve))
  }

  /**
   * Lets other threads read this pool's pages: post the result to a worker and `attach()` it
   * there, then post frags as `frag.lend(worker)` gives them. `lends` is how many may be lent at
   * once: 1 to 2^20; by default one for each 8 KiB, which sockets make no more frags of, and four per
   * page at least. It is settled by the first call.
   * Throws NETMEM_NOT_SHARED unless the provider's memory is a SharedArrayBuffer.
   */
  share(this: PagePool<Page>, options: { readonly lends?: number } = {}): PoolShare {
    const own = ownOptions('share()', options, { lends: true })
    if (this.#lender === undefined) {
      const { shared } = this.#source
      if (shared === undefined) {
        throw new LifetimeError(
          'NETMEM_NOT_SHARED',
          'The memory of this pool belongs to one thread. Make the pool from sharedProvider(), or from externalProvider() over a SharedArrayBuffer.',
        )
      }
      const lends = checkInteger(
        'lends',
        own.lends ?? Math.min(this.capacity * this.#fragsPerPage, 2 ** 20),
        1,
        2 ** 20,
      )
      this.#lender = new Lender(shared, lends, {
        takeBack: (handle, keeper, abandoned) => this.#takeBack(handle, keeper, abandoned),
        isWaiting: () => this.#waiters.waiting || (this.destroyed && this.inflight > 0),
      })
      if (this.destroyed) this.#lender.wakeOwner()
    }
    return this.#lender.share
  }

  /** What sockets make of a page at the most: a full small buffer is copied to it, and any read may follow. */
  get #fragsPerPage(): number {
    return Math.max(4, (2 * this.pageSize) / RX_COPYBREAK)
  }

  /** @internal The keeper of a page's first frag. */
  takeKeeper(page: Exactly<M>): Keeper {
    const handle = bits(page)
    return this.ledger.takeOut(this.#check(handle), handle)
  }

  /** @internal Puts a frag's reference; the keeper rests with the page. */
  putFrag(page: Exactly<M>, keeper: Keeper): void {
    const handle = bits(page)
    const slot = ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.#base
    if (this.#state[slot] === handle) this.ledger.bringIn(slot, keeper)
    this.put(page)
  }

  /** @internal Moves a frag's reference to another thread. */
  lendFrag(
    page: Exactly<M>,
    keeper: Keeper,
    offset: number,
    length: number,
    borrower: Borrower,
    account: FragAccount | undefined,
  ): Lent | undefined {
    const lender = this.lender()
    const handle = bits(page)
    const slot = this.#check(handle)
    const at = slot * this.pageSize + offset
    return lender.lend(handle, keeper, at, length, borrower, account)
  }

  /** @internal Throws NETMEM_NOT_SHARED before {@link share}. */
  lender(): Lender {
    if (this.#lender !== undefined) return this.#lender
    throw new LifetimeError(
      'NETMEM_NOT_SHARED',
      'Call pool.share() before lending, and attach() its result in the worker.',
    )
  }

  /** @internal Lists who holds its memory, the longest first; empty without `traceLeaks`. */
  holders(): Holder[] {
    return this.ledger.holders(this.#isOut)
  }

  /** @internal Notes where a handle was allocated. */
  noteAllocation(m: Exactly<M>): void {
    const handle = bits(m)
    this.ledger.allocated(this.#check(handle), handle)
  }

  /** Its counters as they stand. */
  stats(): PagePoolStats {
    this.#collectReturned()
    return {
      alloc: {
        fast: this.#fast,
        slow: this.#slow,
        slow_high_order: this.#source.counters()?.slow_high_order ?? 0,
        empty: this.#empty,
        refill: this.#refill,
        waive: this.#source.counters()?.waive ?? 0,
      },
      recycle: {
        // What went into the cache and out of it balances, so the fast path counts one side only.
        cached: this.#fast + this.#drained + this.#cached - this.#filled,
        cache_full: this.#cacheFull,
        ring: this.#ringPuts,
        ring_full: this.#ringFull,
        released_refcnt: this.#releasedRefcnt,
      },
      inflight: this.inflight,
      out: this.out,
      handles: this.out - this.ledger.heldByFrags(this.#isOut),
      copied: this.ledger.copied(),
    }
  }

  /**
   * Ends the pool. What is out may come back at any time later; the promise resolves when the
   * last of it has, and the provider is free for another pool then. Waiting long is reported once
   * a minute as `netmem:destroy` on diagnostics_channel, or as a warning. A second call returns
   * the same promise.
   */
  destroy(): Promise<void> {
    if (this.#destroyed !== undefined) return this.#destroyed.promise
    let finish = (): void => {}
    const promise = new Promise<void>((resolve) => {
      finish = resolve
    })
    this.#destroyed = { promise, finish }
    this.#cacheLimit = 0
    while (this.#cached > 0) {
      this.#drained++
      this.#release(this.#pop())
    }
    for (let next = this.#ring.shift(); next >= 0; next = this.#ring.shift()) this.#release(next)
    this.#wake()
    this.#collectReturned()
    this.#lender?.wakeOwner()
    if (this.inflight > 0) {
      remindOfDestroy(promise, () => {
        const { inflight, handles } = this.stats()
        return { inflight, handles, holders: this.holders() }
      })
    }
    this.#finishDestroy()
    return promise
  }

  #allocSlow(): M | undefined {
    // First of all, since it may call whoever waits, who may do anything to this pool.
    this.#collectReturned()
    if (this.#destroyed !== undefined) {
      throw new LifetimeError('NETMEM_POOL_DESTROYED', 'The pool is destroyed; make another one.')
    }
    if (this.#cached > 0) return this.alloc()
    const fromRing = this.#ring.length > 0
    if (fromRing) {
      const moved = this.#ring.moveTo(this.#cache, 1, CACHE_REFILL)
      this.#cache[CACHED] = moved
      this.#filled += moved
    } else {
      this.#empty++
      this.#source.alloc(CACHE_REFILL, this.#take)
    }
    if (this.#cached === 0) return undefined
    if (fromRing) this.#refill++
    else if (this.#source.kind === 'page') this.#slow++
    this.#filled--
    return mint(this.#pop())
  }

  get #cached(): number {
    return this.#cache[CACHED] ?? 0
  }

  #push(handle: number): void {
    const cached = this.#cached + 1
    this.#cache[cached] = handle
    this.#cache[CACHED] = cached
  }

  #pop(): number {
    const cached = this.#cached
    this.#cache[CACHED] = cached - 1
    return this.#cache[cached] ?? -1
  }

  /** Takes what the provider gives. One function for all times: a dry pool asks often. */
  readonly #take = (handle: number): void => {
    this.#held = (this.#held + 1) | 0
    this.#push(handle)
    this.#filled++
  }

  #putSlow(handle: number, slot: number, allowDirect: boolean): void {
    if ((this.#state[slot] ?? NaN) !== handle) {
      this.#unref(handle)
      return
    }
    const next = (handle + GENERATION_STEP) & HANDLE_MASK
    this.#state[slot] = next
    if (this.#destroyed !== undefined) {
      this.#release(next)
      this.#finishDestroy()
      return
    }
    if (allowDirect && this.#cached < CACHE_SIZE) {
      this.#push(next)
    } else {
      if (allowDirect) this.#cacheFull++
      this.#putRing(next)
    }
    if (this.#waiters.waiting) this.#wake()
  }

  /** Puts one of several references. */
  #unref(handle: number): void {
    const slot = this.#check(handle)
    const references = this.#references.of(slot) - 1
    this.#references.set(slot, handle, references)
    if (references === 1) this.#state[slot] = handle
  }

  #putRing(next: number): void {
    if (this.#ring.push(next)) {
      this.#ringPuts++
    } else {
      this.#ringFull++
      this.#release(next)
    }
  }

  /** Takes in what other threads have given back. */
  #collectReturned(): void {
    this.#lender?.collect()
  }

  /** A lent reference has come back; `abandoned` when its thread ended with it. */
  #takeBack(handle: number, keeper: Keeper, abandoned: boolean): void {
    keeper.record.frags--
    const slot = this.#check(handle)
    if (this.#state[slot] === handle) this.ledger.bringIn(slot, keeper)
    if (!abandoned || this.#state[slot] === SHARED) {
      this.#putSlow(handle, slot, false)
      return
    }
    // The thread has ended and cannot touch it. Released, so that the counters tell it from a put.
    const next = (handle + GENERATION_STEP) & HANDLE_MASK
    this.#state[slot] = next
    this.#releasedRefcnt++
    this.#release(next)
    this.#finishDestroy()
    if (this.#waiters.waiting) this.#wake()
  }

  #release(next: number): void {
    this.#released = (this.#released + 1) | 0
    this.#source.release(next)
  }

  #wake(): void {
    if (this.#destroyed === undefined) this.#cacheLimit = CACHE_SIZE
    this.#waiters.wake()
  }

  #finishDestroy(): void {
    if (this.#destroyed === undefined || this.#finished || this.inflight !== 0) return
    this.#finished = true
    this.#source.destroy()
    netmem.releaseHandles(this.#base, this.#state)
    this.#destroyed.finish()
  }

  /** True for a handle that is out; one that was put since names an earlier use of its slot. */
  readonly #isOut = (handle: number): boolean => {
    const slot = ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.#base
    const state = this.#state[slot]
    return state === handle || (state === SHARED && this.#references.isOf(slot, handle))
  }

  /** The slot of a handle that is out; throws for every other value. */
  #check(handle: number): number {
    const slot = ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.#base
    const state = this.#state[slot]
    if ((state ?? NaN) === handle || (state === SHARED && this.#references.isOf(slot, handle)))
      return slot
    const next = (handle + GENERATION_STEP) & HANDLE_MASK
    const putAlready =
      state === next &&
      (this.#cache.subarray(1, 1 + this.#cached).includes(next) ||
        this.#ring.has(next) ||
        !this.#source.has(next))
    throw handleError(handle, this.#source.kind, state, putAlready)
  }
}
