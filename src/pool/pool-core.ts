/**
 * The page pool itself, in integers: an alloc cache that only the owner touches, a recycle ring
 * behind it, the provider last (Linux, net/core/page_pool.c). `PagePool` is its typed face, and
 * the descriptor table leads to it from a bare handle.
 *
 * Putting moves a slot to its next generation, a handle that no caller has until it is handed
 * out. So `alloc` need not touch the slot's state.
 */

import { checkInteger, LifetimeError } from '../errors.ts'
import * as netmem from '../netmem.ts'
import * as allocCache from './alloc-cache.ts'
import { Copies } from './copies.ts'
import { FragMemory } from './frag-memory.ts'
import { handleError } from './handle-error.ts'
import { type Holder, remindOfDestroy } from './leaks.ts'
import { createLender } from './lender.ts'
import type { PoolShare } from './lent.ts'
import { type AnyProvider, checkPageSize } from './memory-provider.ts'
import { createSource, type Source } from './provider-source.ts'
import { RecycleRing } from './recycle-ring.ts'
import { SHARED, SlotStates } from './slot-states.ts'
import type { PagePoolStats } from './stats.ts'
import { type Deferred, deferred, Waiters } from './waiters.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_POOL_DESTROYED: 'LifetimeError'
    NETMEM_POOL_DRY: 'LifetimeError'
  }
}

// An engine folds a module's own constants and inlines through them, but not those it imports:
// with the imported ones the fast path took twice the time.
const { CACHE_SIZE, GENERATION_STEP, INDEX_MASK, INDEX_SHIFT, RANGE_SHIFT } = netmem.LAYOUT
const { cacheAt, caches, states } = netmem.columns

/** Handles taken at once from ring or provider: 64 as in the kernel, where a NAPI poll handles 64 packets. */
const CACHE_REFILL = 64
const RING_SIZE = 1024
const RING_SIZE_MAX = 16384

export class PoolCore implements netmem.HandleOwner {
  readonly name: string
  readonly kind: 'page' | 'net_iov'
  readonly pageSize: number
  readonly capacity: number
  /** True if the memory can be detached, shrunk or unmapped by others. */
  readonly mayMove: boolean
  readonly copies: Copies
  /** References in frags. Declared, as in `PagePool`. */
  declare readonly frags: FragMemory

  // The fast path. The caches and states of all pools are constant arrays: an array in a field would
  // be loaded, and its bounds with it, at each use. A count in an array is 32 bits wide for load and
  // store alike, which a processor passes on sooner than an engine's tagged integer.
  /** Start of the alloc cache in `caches`. The cache that stays closed has 0. */
  #at = 0
  #fast = 0

  // The slow path.
  /** Alloc cache. It is closed while every put must take the slow path, because a caller waits or the pool is destroyed. */
  #cache: Int32Array
  readonly #provider: AnyProvider
  readonly #source: Source
  readonly #slots: SlotStates
  readonly #ring: RecycleRing
  readonly #waiters = new Waiters()
  /** True after a provider that may be dry for a while gave nothing, though not all is out. */
  #providerDry = false
  #destroyed: Deferred | undefined
  #finished = false
  #held = 0
  #released = 0
  #filled = 0
  #drained = 0
  /** Counts of the slow path, under the kernel's names. */
  readonly #allocs = { slow: 0, empty: 0, refill: 0 }
  readonly #recycled = { cache_full: 0, ring: 0, ring_full: 0, released_refcnt: 0 }

  constructor(
    provider: AnyProvider,
    name: string,
    ringSize: number = RING_SIZE,
    traceLeaks: boolean = false,
  ) {
    this.name = name
    this.kind = provider.kind
    this.mayMove = provider.kind === 'page' && (provider.mayMove ?? provider.shared === undefined)
    this.pageSize = checkPageSize(provider.pageSize)
    this.capacity = checkInteger('capacity', provider.capacity, 1, netmem.MAX_SLOTS)
    this.copies = new Copies(this.capacity * this.pageSize, traceLeaks)
    this.#ring = new RecycleRing(checkInteger('ringSize', ringSize, 1, RING_SIZE_MAX))
    const { base, handles, at, cache } = netmem.claimHandles(provider.kind, this.capacity, this)
    this.#cache = cache
    this.#slots = new SlotStates(base, handles)
    this.frags = new FragMemory(this, this.#slots, traceLeaks)
    this.#provider = provider
    try {
      this.#source = createSource(provider, base, handles, this.#take)
    } catch (error) {
      netmem.releaseHandles(this)
      throw error
    }
    provider.onAvailable?.(() => {
      this.#providerDry = false
      if (this.#waiters.waiting) this.#wake()
    })
    this.#at = at
    allocCache.open(cache)
  }

  alloc(): number | undefined {
    const at = this.#at
    const cached = caches[at] ?? 0
    if (cached > 0) {
      const handle = caches[at + cached]
      if (handle !== undefined) {
        caches[at] = cached - 1
        this.#fast++
        return handle
      }
    }
    return this.#allocSlow()
  }

  put(handle: number, allowDirect: boolean): void {
    const index = (handle >> INDEX_SHIFT) & INDEX_MASK
    const at = this.#at
    const cached = (caches[at] ?? 0) >>> 0
    // Its range has this pool's cache, or the handle is of another pool.
    if (cached < CACHE_SIZE && states[index] === handle && cacheAt[index >> RANGE_SHIFT] === at) {
      const next = (handle + GENERATION_STEP) | 0
      states[index] = next
      if (!allowDirect) {
        this.#putRing(next)
        return
      }
      caches[at + cached + 1] = next
      caches[at] = cached + 1
      return
    }
    this.#putSlow(handle, allowDirect)
  }

  /** Gives back a reference that a thread had when it ended, which cannot touch the memory any more. */
  putAbandoned(handle: number): void {
    const slot = this.check(handle)
    const { state } = this.#slots
    if (state[slot] === SHARED) {
      this.put(handle, false)
      return
    }
    // Released, so that the counters tell it from a put.
    const next = (handle + GENERATION_STEP) | 0
    state[slot] = next
    this.#recycled.released_refcnt++
    this.#release(next)
    this.#finishDestroy()
    if (this.#waiters.waiting) this.#wake()
  }

  retain(handle: number, count: number): void {
    checkInteger('count', count, 1, 2 ** 20)
    const slot = this.check(handle)
    const references = this.#slots.references(slot) + count
    this.#slots.share(slot, handle, checkInteger('references', references, 2, 0x7fff_ffff))
  }

  references(handle: number): number {
    return this.#slots.references(this.check(handle))
  }

  bytes(handle: number): Uint8Array {
    return this.#source.bytes(handle, this.check(handle))
  }

  place(handle: number): netmem.Place {
    return this.#source.place(handle, this.check(handle))
  }

  get available(): number {
    const { out } = this
    if (this.#destroyed !== undefined) return 0
    return this.#providerDry ? this.inflight - out : this.capacity - out
  }

  get out(): number {
    this.frags.lender?.collect()
    return this.inflight - this.#cached - this.#ring.length
  }

  get inflight(): number {
    return (this.#held - this.#released) | 0
  }

  get destroyed(): boolean {
    return this.#destroyed !== undefined
  }

  notify(callback: () => void): void {
    // `available` comes first: it may wake a waiter, which may destroy the pool.
    if (this.available > 0 || this.#destroyed !== undefined) {
      queueMicrotask(callback)
      return
    }
    this.#waiters.add(callback)
    allocCache.close(this.#cache)
    this.frags.lender?.wakeOwner()
  }

  sharePool(lends: number | undefined): PoolShare {
    const { frags } = this
    if (frags.lender === undefined) {
      const shared = this.#provider.kind === 'page' ? this.#provider.shared : undefined
      const isWaiting = () => this.#waiters.waiting || (this.destroyed && this.inflight > 0)
      frags.lender = createLender(shared, this, lends, isWaiting)
      this.copies.lendable = true
      if (this.destroyed) frags.lender.wakeOwner()
    }
    return frags.lender.share
  }

  /** Netmem that rests in the cache and in the ring. */
  get resting(): { readonly cache: number; readonly ring: number } {
    return { cache: this.#cached, ring: this.#ring.length }
  }

  /** Lists the handles that are out. Looks at every slot. */
  outHandles(): number[] {
    const resting = new Set([...allocCache.handles(this.#cache), ...this.#ring.handles()])
    return this.#slots.givenHandles(this.#source.has).filter((handle) => !resting.has(handle))
  }

  /** Lists who holds its memory, the longest first: known with `traceLeaks` only. */
  holders(): Holder[] {
    return []
  }

  stats(): PagePoolStats {
    this.frags.lender?.collect()
    // Puts into the cache and takes out of it balance, so the fast path counts one side only.
    const cached = this.#fast + this.#drained + this.#cached - this.#filled
    const { slow, empty, refill } = this.#allocs
    const { slow_high_order = 0, waive = 0 } = this.#provider.counters ?? {}
    return {
      alloc: { fast: this.#fast, slow, slow_high_order, empty, refill, waive },
      recycle: { cached, ...this.#recycled },
      inflight: this.inflight,
      out: this.out,
      handles: this.out - this.frags.heldSlots,
      copied: { ...this.copies.copied },
    }
  }

  /** @param reminds False for a pool that its application dropped. */
  destroy(reminds: boolean): Promise<void> {
    if (this.#destroyed !== undefined) return this.#destroyed.promise
    this.#destroyed = deferred()
    const { promise } = this.#destroyed
    allocCache.close(this.#cache)
    this.frags.forgetRest()
    do {
      while (this.#cached > 0) {
        this.#drained++
        this.#release(allocCache.pop(this.#cache))
      }
      this.#fill()
    } while (this.#cached > 0)
    this.#wake()
    this.frags.lender?.collect()
    this.frags.lender?.wakeOwner()
    if (reminds && this.inflight > 0) remindOfDestroy(promise, this)
    this.#finishDestroy()
    return promise
  }

  #allocSlow(): number | undefined {
    // Memory from other threads comes first: a waiter that it wakes may do anything to this pool.
    this.frags.lender?.collect()
    if (this.#destroyed !== undefined) {
      throw new LifetimeError('NETMEM_POOL_DESTROYED', 'The pool is destroyed; make another one.')
    }
    // Handles that came in while the cache was closed.
    if (this.#cached > 0) {
      this.#fast++
      return allocCache.pop(this.#cache)
    }
    const fromRing = this.#ring.length > 0
    if (fromRing) {
      this.#fill()
    } else {
      this.#allocs.empty++
      this.#source.alloc(CACHE_REFILL)
    }
    if (this.#cached === 0) {
      this.#providerDry = this.#provider.onAvailable !== undefined && this.inflight < this.capacity
      return undefined
    }
    if (fromRing) this.#allocs.refill++
    else if (this.kind === 'page') this.#allocs.slow++
    this.#filled--
    return allocCache.pop(this.#cache)
  }

  /** Moves handles from the ring to the cache, which is empty. */
  #fill(): void {
    this.#filled += allocCache.refill(this.#cache, this.#ring, CACHE_REFILL)
  }

  get #cached(): number {
    return allocCache.count(this.#cache)
  }

  /** Takes what the provider gives. */
  readonly #take = (handle: number): void => {
    this.#held = (this.#held + 1) | 0
    allocCache.push(this.#cache, handle)
    this.#filled++
  }

  #putSlow(handle: number, allowDirect: boolean): void {
    const slot = this.#slots.slot(handle)
    const { state } = this.#slots
    if ((state[slot] ?? NaN) !== handle) {
      if (this.frags.unshare(this.check(handle), handle)) this.put(handle, allowDirect)
      return
    }
    const next = (handle + GENERATION_STEP) | 0
    state[slot] = next
    if (this.#destroyed !== undefined) {
      this.#release(next)
      this.#finishDestroy()
      return
    }
    if (allowDirect && this.#cached < CACHE_SIZE) {
      allocCache.push(this.#cache, next)
    } else {
      if (allowDirect) this.#recycled.cache_full++
      this.#putRing(next)
    }
    if (this.#waiters.waiting) this.#wake()
  }

  #putRing(next: number): void {
    if (this.#ring.push(next)) {
      this.#recycled.ring++
    } else {
      this.#recycled.ring_full++
      this.#release(next)
    }
  }

  #release(next: number): void {
    this.#released = (this.#released + 1) | 0
    this.#source.release(next)
  }

  #wake(): void {
    if (this.#destroyed === undefined) allocCache.open(this.#cache)
    this.#waiters.wake()
  }

  #finishDestroy(): void {
    if (this.#destroyed === undefined || this.#finished || this.inflight !== 0) return
    this.#finished = true
    this.#provider.destroy()
    // Its slots and its cache may be another pool's from here on.
    this.#at = 0
    this.#cache = new Int32Array(0)
    this.frags.close()
    this.#slots.close()
    netmem.releaseHandles(this)
    this.#destroyed.resolve()
  }

  /** Returns the slot of a handle that is out, and throws for every other value. */
  check(handle: number): number {
    const slot = this.#slots.slot(handle)
    if (this.#slots.isOut(handle)) return slot
    const state = this.#slots.state[slot]
    const next = (handle + GENERATION_STEP) | 0
    const putAlready = this.#finished
      ? slot >= 0 && slot < this.capacity
      : state === next && !this.outHandles().includes(next)
    throw handleError(handle, this.kind, state, putAlready)
  }
}

/** Returns the core of the pool that `m` is from. Throws as `release` does. */
export function coreOf(m: netmem.Exactly<netmem.Netmem>): PoolCore {
  const owner = netmem.ownerOf(m)
  if (owner instanceof PoolCore) return owner
  throw netmem.unknownHandle(netmem.bits(m))
}
