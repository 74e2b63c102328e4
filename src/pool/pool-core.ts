/**
 * The page pool itself, in integers: an alloc cache that only the owner touches, a recycle ring
 * behind it, the provider last (Linux, net/core/page_pool.c). `PagePool` is its typed face, and
 * the descriptor table leads to it from a bare handle.
 *
 * One 32-bit state per slot carries all run-time checks: the slot's present handle, so that a
 * single comparison proves kind, generation, pool and sole ownership, or `SHARED` while there are
 * several references, counted beside. Putting moves a slot to its next generation, a handle that
 * nobody has until it is handed out; `alloc` need not touch the state at all.
 */

import {
  ArgumentTypeError,
  checkInteger,
  LifetimeError,
  type OptionNames,
  ownOptions,
} from '../errors.ts'
import * as netmem from '../netmem.ts'
import { Allocations, type Holder } from './allocations.ts'
import { Copies, RX_COPYBREAK } from './copies.ts'
import type { FragAccount } from './frag-account.ts'
import { handleError } from './handle-error.ts'
import { remindOfDestroy } from './leaks.ts'
import { type Borrower, Lender, type Lent, notShared, type PoolShare } from './lender.ts'
import { type AnyProvider, checkPageSize, checkProvider } from './memory-provider.ts'
import { openProvider, type Source } from './provider-source.ts'
import { RecycleRing } from './recycle-ring.ts'
import { References } from './references.ts'
import type { FragMemory } from './reservation.ts'
import type { PagePoolStats } from './stats.ts'
import { heldReferences, type Token, type TokenOwner, Tokens } from './tokens.ts'
import { Waiters } from './waiters.ts'

declare module '../errors.ts' {
  interface ErrorCodes {
    NETMEM_POOL_DESTROYED: 'LifetimeError'
    NETMEM_POOL_DRY: 'LifetimeError'
    NETMEM_NOT_SHARED: 'LifetimeError'
  }
}

// An engine folds a module's own constants and inlines through them, but not those it imports:
// with the imported ones the fast path took twice the time.
const { GENERATION_STEP, INDEX_MASK, INDEX_SHIFT } = netmem

/** Handles the cache holds; 128 and 64 as in the kernel, where a NAPI poll handles 64 packets. */
const CACHE_SIZE = 128
/** Where the cache's count stands in it. */
const CACHED = 0
/** Handles taken at once from ring or provider. */
const CACHE_REFILL = 64
const RING_SIZE = 1024
const RING_SIZE_MAX = 16384

/** More than one reference, or the rest of a page that is left to the next reservation. No handle is −1. */
const SHARED = -1

/** What `createPool` and `dualPool` take besides the provider. */
export interface PagePoolOptions {
  /** Name of the pool in {@link pools}; `pool 1` and so on by default. */
  readonly name?: string
  /** Slots of the recycle ring: 1 to 16384, rounded up to a power of two; 1024 by default. */
  readonly ringSize?: number
  /**
   * Keeps, for reports, where the application received each frag and allocated each handle, and
   * from which peer. Costs tens of microseconds per frag; off by default.
   */
  readonly traceLeaks?: boolean
}

const NAMES: OptionNames<PagePoolOptions> = { name: true, ringSize: true, traceLeaks: true }

/** Pools that this thread has made. */
let made = 0

/** The rest of a partly filled page. */
interface Rest {
  readonly handle: number
  readonly offset: number
}

/** Makes a pool's core. Throws as `createPool` does. */
export function openCore(provider: AnyProvider, options: PagePoolOptions): PoolCore {
  checkProvider(provider)
  const own = ownOptions('createPool()', options, NAMES)
  return own.traceLeaks === true ? new TracedCore(provider, own) : new PoolCore(provider, own)
}

/** The core of the pool that `m` is from. Throws as `release` does. */
export function coreOf(m: netmem.Exactly<netmem.Netmem>): PoolCore {
  const owner = netmem.ownerOf(m)
  if (owner instanceof PoolCore) return owner
  throw netmem.unknownHandle(netmem.bits(m))
}

function checkName(name: unknown): string | undefined {
  if (name === undefined || typeof name === 'string') return name
  throw new ArgumentTypeError(
    'NETMEM_INVALID_ARGUMENT',
    `The name of a pool is a string, not ${typeof name}.`,
  )
}

export class PoolCore implements TokenOwner, FragMemory {
  readonly name: string
  readonly pageSize: number
  readonly capacity: number
  readonly copies: Copies

  // The fast path. Fields that begin with a value of their type, here a placeholder, are not checked
  // at each use; a count in an array is 32 bits wide for load and store alike, which a processor
  // passes on sooner than an engine's tagged integer. Together: a fifth of alloc and put.
  /** How many handles are ready to be handed out, and from index 1 on their integers, last in first out. */
  readonly #cache = new Int32Array(1 + CACHE_SIZE)
  /** CACHE_SIZE; 0 while every put must take the slow path, because a caller waits or the pool is destroyed. */
  #cacheLimit = CACHE_SIZE
  #state: Int32Array = new Int32Array(0)
  readonly #base: number = 0
  #fast = 0

  // The slow path.
  readonly #source: Source
  readonly #ring: RecycleRing
  readonly #references: References
  readonly #tokens: Tokens
  /** Token of each slot that rests, or has references in no frag. */
  readonly #resting: (Token | undefined)[] = []
  readonly #allocations = new Allocations()
  readonly #views: (Uint8Array | undefined)[] = []
  readonly #places: (netmem.Place | undefined)[] = []
  readonly #waiters = new Waiters()
  /** True after a provider that may be dry for a while gave nothing, though not all is out. */
  #providerDry = false
  #rest: Rest | undefined
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

  constructor(provider: AnyProvider, options: PagePoolOptions) {
    const { ringSize = RING_SIZE, traceLeaks = false } = options
    this.name = checkName(options.name) ?? `pool ${++made}`
    this.pageSize = checkPageSize(provider.pageSize)
    this.capacity = checkInteger('capacity', provider.capacity, 1, netmem.MAX_SLOTS)
    this.copies = new Copies(this.capacity * this.pageSize, traceLeaks)
    this.#tokens = new Tokens(this.pageSize, traceLeaks)
    this.#ring = new RecycleRing(checkInteger('ringSize', ringSize, 1, RING_SIZE_MAX))
    this.#references = new References(this.capacity)
    const { base, handles } = netmem.claimHandles(provider.kind, this.capacity, this)
    this.#base = base
    this.#state = handles
    try {
      this.#source = openProvider(provider, base, this.#state)
      this.#source.onAvailable(() => this.#providerBack())
    } catch (error) {
      netmem.releaseHandles(this)
      throw error
    }
  }

  get kind(): 'page' | 'net_iov' {
    return this.#source.kind
  }

  get mayMove(): boolean {
    return this.#source.mayMove
  }

  alloc(): number | undefined {
    const cache = this.#cache
    const cached = cache[CACHED] ?? 0
    if (cached > 0) {
      const handle = cache[cached]
      if (handle !== undefined) {
        cache[CACHED] = cached - 1
        this.#fast++
        return handle
      }
    }
    return this.#allocSlow()
  }

  put(handle: number, allowDirect: boolean): void {
    const slot = ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.#base
    const cache = this.#cache
    const cached = cache[CACHED] ?? 0
    // NaN: beyond the slots, where `undefined` would equal an undefined handle.
    if ((this.#state[slot] ?? NaN) === handle && allowDirect && cached < this.#cacheLimit) {
      const next = (handle + GENERATION_STEP) | 0
      this.#state[slot] = next
      cache[cached + 1] = next
      cache[CACHED] = cached + 1
      return
    }
    this.#putSlow(handle, slot, allowDirect)
  }

  retain(handle: number, count: number): void {
    checkInteger('count', count, 1, 2 ** 20)
    const slot = this.#check(handle)
    const references = checkInteger('references', this.references(handle) + count, 2, 0x7fff_ffff)
    this.#state[slot] = SHARED
    this.#references.set(slot, handle, references)
  }

  references(handle: number): number {
    const slot = this.#check(handle)
    return this.#state[slot] === handle ? 1 : this.#references.of(slot)
  }

  bytes(handle: number): Uint8Array {
    const slot = this.#check(handle)
    const view = this.#views[slot]
    // A view is emptied when a WebAssembly memory grows.
    if (view !== undefined && view.byteLength !== 0) return view
    const fresh = this.#source.bytes(handle)
    this.#views[slot] = fresh
    return fresh
  }

  place(handle: number): netmem.Place {
    const slot = this.#check(handle)
    const known = this.#places[slot]
    if (known !== undefined) return known
    const place = this.#source.place(handle)
    this.#places[slot] = place
    return place
  }

  // Frags.

  hold(handle: number): Token {
    const slot = ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.#base
    const token = this.#resting[slot]
    // The only reference of memory that has a token: the page of a received frag.
    if (token !== undefined && this.#state[slot] === handle) {
      this.#resting[slot] = undefined
      const { record } = token
      if (record.handle !== handle) this.#tokens.begin(slot, record, handle)
      record.frags++
      return token
    }
    return this.#holdSlow(handle)
  }

  drop(handle: number, token: Token): void {
    token.record.frags--
    const slot = ((handle >> INDEX_SHIFT) & INDEX_MASK) - this.#base
    if (this.#state[slot] === handle) {
      this.#resting[slot] = token
    } else if (this.#isOut(handle)) this.#resting[slot] ??= token
    this.put(handle, true)
  }

  share(handle: number, token: Token): void {
    this.retain(handle, 1)
    this.#resting[this.#check(handle)] ??= token
  }

  lend(
    handle: number,
    token: Token,
    offset: number,
    length: number,
    borrower: Borrower,
    account: FragAccount | undefined,
  ): Lent | undefined {
    const lender = this.lender()
    const at = this.#check(handle) * this.pageSize + offset
    return lender.lend(handle, token, at, length, borrower, account)
  }

  /** Throws NETMEM_NOT_SHARED before {@link share}. */
  lender(): Lender {
    if (this.#lender !== undefined) return this.#lender
    throw notShared()
  }

  #holdSlow(handle: number): Token {
    const slot = this.#check(handle)
    let token = this.#resting[slot]
    if (token === undefined) {
      token = this.#tokens.make(slot, handle, this)
      this.#resting[slot] = token
    }
    const { record } = token
    if (record.handle !== handle) this.#tokens.begin(slot, record, handle)
    record.frags++
    this.#settle(slot, handle)
    return token
  }

  /** Leaves the token to frags alone once they have all references. */
  #settle(slot: number, handle: number): void {
    const token = this.#resting[slot]
    if (token === undefined || this.#rest?.handle === handle) return
    if (heldReferences(token.record, handle) === this.references(handle)) {
      this.#resting[slot] = undefined
    }
  }

  // The rest of a partly filled page. It takes no reference, so that an idle pool has nothing out;
  // the slot's state is SHARED, so that its last put takes the slow path and finds the rest gone.

  leave(handle: number, offset: number): void {
    const slot = this.#check(handle)
    this.#forgetRest()
    this.#rest = { handle, offset }
    if (this.#state[slot] !== handle) return
    this.#state[slot] = SHARED
    this.#references.set(slot, handle, 1)
  }

  /** Takes the rest and a reference for it, if it has room for `minBytes`. */
  takeRest(minBytes: number): Rest | undefined {
    const rest = this.#rest
    if (rest === undefined || this.pageSize - rest.offset < minBytes) return undefined
    this.retain(rest.handle, 1)
    this.#rest = undefined
    return rest
  }

  #forgetRest(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest === undefined) return
    const slot = this.#check(rest.handle)
    if (this.#references.of(slot) === 1) this.#state[slot] = rest.handle
    this.#settle(slot, rest.handle)
  }

  // Counts and the end.

  get available(): number {
    if (this.#destroyed !== undefined) return 0
    const { out } = this
    return this.#providerDry ? this.inflight - out : this.capacity - out
  }

  get out(): number {
    this.#collectReturned()
    return this.inflight - this.#cached - this.#ring.length
  }

  get inflight(): number {
    return (this.#held - this.#released) | 0
  }

  get destroyed(): boolean {
    return this.#destroyed !== undefined
  }

  notify(callback: () => void): void {
    if (this.#destroyed !== undefined || this.available > 0) {
      queueMicrotask(callback)
      return
    }
    this.#waiters.add(callback)
    this.#cacheLimit = 0
    this.#lender?.wakeOwner()
  }

  sharePool(lends: number | undefined): PoolShare {
    if (this.#lender === undefined) {
      const { shared } = this.#source
      if (shared === undefined) {
        throw new LifetimeError(
          'NETMEM_NOT_SHARED',
          'The memory of this pool belongs to one thread. Make the pool from sharedProvider(), or from externalProvider() over a SharedArrayBuffer.',
        )
      }
      const entries = lends ?? Math.min(this.capacity * this.#fragsPerPage, 2 ** 20)
      this.#lender = new Lender(shared, checkInteger('lends', entries, 1, 2 ** 20), {
        takeBack: (handle, token, abandoned) => this.#takeBack(handle, token, abandoned),
        isWaiting: () => this.#waiters.waiting || (this.destroyed && this.inflight > 0),
      })
      this.copies.lendable = true
      if (this.destroyed) this.#lender.wakeOwner()
    }
    return this.#lender.share
  }

  /** What sockets make of a page at the most: a full small buffer is copied to it, and any read may follow. */
  get #fragsPerPage(): number {
    return Math.max(4, (2 * this.pageSize) / RX_COPYBREAK)
  }

  holders(): Holder[] {
    return this.#allocations.holders(this.#tokens, this.#isOut)
  }

  /** Notes where a handle was allocated. */
  protected traceAllocation(handle: number): void {
    this.#allocations.add(this.#check(handle), handle)
  }

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
      handles: this.out - this.#tokens.heldSlots(this.#isOut),
      copied: this.copies.copied(),
    }
  }

  /** @param reminds False for a pool that its application dropped. */
  destroy(reminds: boolean): Promise<void> {
    if (this.#destroyed !== undefined) return this.#destroyed.promise
    let finish = (): void => {}
    const promise = new Promise<void>((resolve) => {
      finish = resolve
    })
    this.#destroyed = { promise, finish }
    this.#cacheLimit = 0
    this.#forgetRest()
    while (this.#cached > 0) {
      this.#drained++
      this.#release(this.#pop())
    }
    while (this.#ring.length > 0) this.#release(this.#ring.shift())
    this.#wake()
    this.#collectReturned()
    this.#lender?.wakeOwner()
    if (reminds && this.inflight > 0) {
      remindOfDestroy(promise, () => {
        const { inflight, handles } = this.stats()
        return { inflight, handles, holders: this.holders() }
      })
    }
    this.#finishDestroy()
    return promise
  }

  #allocSlow(): number | undefined {
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
    if (this.#cached === 0) {
      this.#providerDry = this.#source.mayBeDry && this.inflight < this.capacity
      return undefined
    }
    if (fromRing) this.#refill++
    else if (this.#source.kind === 'page') this.#slow++
    this.#filled--
    return this.#pop()
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

  #providerBack(): void {
    this.#providerDry = false
    if (this.#waiters.waiting) this.#wake()
  }

  /** Takes what the provider gives. One function for all times: a dry pool asks often. */
  readonly #take = (handle: number): void => {
    this.#held = (this.#held + 1) | 0
    this.#push(handle)
    this.#filled++
  }

  #putSlow(handle: number, slot: number, allowDirect: boolean): void {
    if ((this.#state[slot] ?? NaN) !== handle) {
      this.#unref(handle, allowDirect)
      return
    }
    const next = (handle + GENERATION_STEP) | 0
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

  /** Puts one of several references, or the last one of a page whose rest was left. */
  #unref(handle: number, allowDirect: boolean): void {
    const slot = this.#check(handle)
    const references = this.#references.of(slot) - 1
    if (references === 0) {
      this.#rest = undefined
      this.#state[slot] = handle
      this.put(handle, allowDirect)
      return
    }
    this.#references.set(slot, handle, references)
    if (references === 1 && this.#rest?.handle !== handle) this.#state[slot] = handle
    this.#settle(slot, handle)
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
  #takeBack(handle: number, token: Token, abandoned: boolean): void {
    token.record.frags--
    const slot = this.#check(handle)
    this.#resting[slot] ??= token
    if (!abandoned || this.#state[slot] === SHARED) {
      this.put(handle, false)
      return
    }
    // The thread has ended and cannot touch it. Released, so that the counters tell it from a put.
    const next = (handle + GENERATION_STEP) | 0
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
    // Its slots may be another pool's from here on.
    this.#state = new Int32Array(0)
    netmem.releaseHandles(this)
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
    const next = (handle + GENERATION_STEP) | 0
    const putAlready = this.#finished
      ? slot >= 0 && slot < this.capacity
      : state === next &&
        (this.#cache.subarray(1, 1 + this.#cached).includes(next) ||
          this.#ring.has(next) ||
          !this.#source.has(next))
    throw handleError(handle, this.#source.kind, state, putAlready)
  }
}

/** A pool with `traceLeaks`: a class of its own, so that other pools pay nothing for it. */
class TracedCore extends PoolCore {
  override alloc(): number | undefined {
    const handle = super.alloc()
    if (handle !== undefined) this.traceAllocation(handle)
    return handle
  }
}
