/**
 * Handles: `Page` and `NetIov`, and `Netmem` for either. To the compiler they are opaque and
 * nothing converts to or from them. At run time they are 32-bit integers:
 *
 * ```
 * 31        18 17                 1  0
 * [generation][      index        ][tag]     tag 0: page, 1: net_iov
 * ```
 *
 * The index is a slot of the thread's descriptor table, in which every pool claims ranges of 64
 * slots. So a handle names its memory completely: the table knows its pool, and the pool its
 * references and its place. The generation goes up each time a slot is given back: a stale handle
 * is recognized for 16,383 further uses of its slot. As in the kernel the lowest bit tells the
 * kinds apart (Linux, include/net/netmem.h).
 *
 * Every cast of this project that makes or opens a handle is in this file.
 */

import { ArgumentRangeError, HandleError } from './errors.ts'

declare module './errors.ts' {
  interface ErrorCodes {
    NETMEM_WRONG_KIND: 'HandleError'
    NETMEM_STALE_HANDLE: 'HandleError'
    NETMEM_DOUBLE_PUT: 'HandleError'
    NETMEM_FOREIGN_HANDLE: 'HandleError'
  }
}

declare const kind: unique symbol
declare const noHandle: unique symbol

/** A slot of host-readable memory: its bytes may be asked for. */
export interface Page {
  readonly [kind]: 'page'
}

/** A slot of device memory: a place inside a dma-buf, with no host address. */
export interface NetIov {
  readonly [kind]: 'net_iov'
}

/** A handle that is either. Narrow it with {@link isPage} or {@link isNetIov}. */
export type Netmem = Page | NetIov

/** The name of a handle's kind, as data carries it. */
export type KindOf<M extends Netmem> = M extends Page ? 'page' : 'net_iov'

/** A type without values. */
interface NoHandle {
  readonly [noHandle]: never
}

/**
 * `M` as a parameter that no structural type can widen. TypeScript compares the parameters of a
 * method in both directions and takes either as a match, so `{ put(m: Netmem): void }` would
 * accept a pool of pages. The member that no value has makes both directions fail.
 */
export type Exactly<M extends Netmem> = M | NoHandle

// Constants without export: an engine folds a module's own, and loads exported ones at each use.
/** Tag of a net_iov. */
const TAG = 1
const INDEX_SHIFT = 1
const INDEX_BITS = 17
const INDEX_MASK = (1 << INDEX_BITS) - 1
/** Adding it to a handle makes the next generation of it, once cut to 32 bits. */
const GENERATION_STEP = 1 << (INDEX_SHIFT + INDEX_BITS)
/** Slots of a range, of which a pool claims whole ones: up to 63 indices of it stay unused. */
const RANGE_SLOTS = 64
const RANGE_SHIFT = 6
const RANGE_MASK = (1 << (INDEX_BITS - RANGE_SHIFT)) - 1
/** Handles that a pool's alloc cache holds, as in the kernel. */
const CACHE_SIZE = 128
/** Integers of an alloc cache: the count, and the handles. */
const CACHE_INTS = 1 + CACHE_SIZE
/** Count of a cache that takes nothing. */
const CLOSED = -1

/** True if the memory behind `m` is host-readable. */
export function isPage(m: Netmem): m is Page {
  return (bits(m) & TAG) === 0
}

/** True if the memory behind `m` is device memory. */
export function isNetIov(m: Netmem): m is NetIov {
  return (bits(m) & TAG) === TAG
}

/** Attachment of a dma-buf to RX queues, as far as an application needs to know it. */
export interface Binding {
  /** Number of the binding, from 1, as the kernel numbers them. */
  readonly id: number
}

/** Place of a net_iov: its twin is the bytes of a page. */
export interface Place {
  /** Binding of the dma-buf that the net_iov belongs to. */
  readonly binding: Binding
  /** Bytes from the dma-buf's start to the net_iov's first byte. */
  readonly offset: number
}

/**
 * Adds references to memory that is out, of any pool. It is given back once per reference.
 *
 * @param count 1 to 2^20, 1 by default. A netmem has at most 2^31 − 1 references.
 * @throws NETMEM_WRONG_KIND, NETMEM_FOREIGN_HANDLE, NETMEM_STALE_HANDLE or NETMEM_DOUBLE_PUT when
 *   the handle is not out, and NETMEM_OUT_OF_RANGE, all before anything is changed.
 *
 * @example
 * ```ts
 * import { release, retain } from 'netmem'
 *
 * const page = pool.alloc()
 * if (page !== undefined) {
 *   retain(page) // for a second holder
 *   release(page)
 *   release(page) // and the memory is the pool's again
 * }
 * ```
 */
export function retain(m: Exactly<Netmem>, count = 1): void {
  ownerOf(m).retain(bits(m), count)
}

/**
 * Gives one reference back to the pool that the handle is from, as `pool.put` does: the last one
 * recycles the memory.
 *
 * @throws NETMEM_WRONG_KIND, NETMEM_FOREIGN_HANDLE when no pool has its index,
 *   NETMEM_STALE_HANDLE or NETMEM_DOUBLE_PUT, all before anything is changed.
 *
 * @example
 * ```ts
 * import { release } from 'netmem'
 *
 * const page = pool.alloc()
 * if (page !== undefined) release(page)
 * ```
 */
export function release(m: Exactly<Netmem>): void {
  const handle = bits(m)
  const index = (handle >> INDEX_SHIFT) & INDEX_MASK
  // `PoolCore.put` without the pool: the owner and its fields would be loaded one after the other.
  const at = cacheAt[index >> RANGE_SHIFT] ?? 0
  const cached = (caches[at] ?? 0) >>> 0
  if (cached < CACHE_SIZE && (states[index] ?? NaN) === handle) {
    const next = (handle + GENERATION_STEP) | 0
    states[index] = next
    caches[at + cached + 1] = next
    caches[at] = cached + 1
    return
  }
  ownerOf(m).put(handle, true)
}

// The rest is for the pool and the layers above it. index.ts does not export it.

/**
 * Layout of handles, and the size of an alloc cache. A module with a hot path keeps copies of them in
 * constants.
 */
export const LAYOUT: Readonly<
  Record<
    'TAG' | 'INDEX_SHIFT' | 'INDEX_MASK' | 'GENERATION_STEP' | 'RANGE_SHIFT' | 'CACHE_SIZE',
    number
  >
> = { TAG, INDEX_SHIFT, INDEX_MASK, GENERATION_STEP, RANGE_SHIFT, CACHE_SIZE }
/** Slots that all pools of a thread may have together. The last range stays unused, so that no handle is −1. */
export const MAX_SLOTS: number = RANGE_MASK * RANGE_SLOTS

/** Index of a handle's slot in the table. */
export function indexOf(handle: number): number {
  return (handle >> INDEX_SHIFT) & INDEX_MASK
}

/** The integer a handle is. */
export function bits(m: Exactly<Netmem>): number {
  return m as unknown as number
}

/** Makes a handle of `M` from an integer that came from {@link bits} or {@link claimHandles}. */
export function mint<M extends Netmem>(handle: number): M {
  return handle as unknown as M
}

/** Pool behind a range of the table, in integers instead of handles. */
export interface HandleOwner {
  /** Adds references. */
  retain(handle: number, count: number): void
  /** Gives one reference back. */
  put(handle: number, allowDirect: boolean): void
  /** All bytes of a page. */
  bytes(handle: number): Uint8Array
  /** Place of a net_iov. */
  place(handle: number): Place
}

/** Shared by all copies of this package in a thread, so that the handles of one are foreign to the others. */
interface HandleSpace {
  /**
   * The state of each slot: its present handle, or −1 while it has several references. In a free
   * slot it is the handle that comes next, so that those of a destroyed pool are stale in its
   * successor. Not touched, it costs address space only.
   */
  readonly states: Int32Array
  /** 1 for each range that a pool has. */
  readonly claimed: Uint8Array
}

const { states, claimed } = handleSpace()

function handleSpace(): HandleSpace {
  const name = Symbol.for('netmem.handles.14.17')
  const known: HandleSpace | undefined = Reflect.get(globalThis, name)
  if (known !== undefined) return known
  const made: HandleSpace = {
    states: new Int32Array(RANGE_SLOTS * (RANGE_MASK + 1)),
    claimed: new Uint8Array(RANGE_MASK + 1),
  }
  Reflect.set(globalThis, name, made)
  return made
}

/** Descriptor table: the owner of each range, in this copy of the package. */
const owners: (HandleOwner | undefined)[] = Array.from(claimed, () => undefined)

/**
 * Alloc caches, as `alloc-cache.ts` has them: one that stays closed, then one for each range, of
 * which a pool uses that of its first range. Not touched, they cost address space only.
 */
const caches = new Int32Array(CACHE_INTS * (1 + RANGE_MASK)).fill(CLOSED, 0, 1)

/** Start of the owner's cache in {@link caches} for each range, or 0 without an owner. */
const cacheAt = new Int32Array(RANGE_MASK + 1)

/** Columns of the table, for the pool's fast paths. As {@link LAYOUT}, they are not exported one by one. */
export const columns: Readonly<Record<'states' | 'caches' | 'cacheAt', Int32Array>> = {
  states,
  caches,
  cacheAt,
}

/** Index of a handle's range. */
function rangeOf(handle: number): number {
  return (handle >> (INDEX_SHIFT + RANGE_SHIFT)) & RANGE_MASK
}

/** The pool that a handle is from. Throws for what is no handle, and for an index that no pool has. */
export function ownerOf(m: Exactly<Netmem>): HandleOwner {
  const handle = bits(m)
  const owner = owners[rangeOf(handle)]
  if (owner === undefined) throw unknownHandle(handle)
  return owner
}

/** All bytes of a page that is out, of any pool. Throws as {@link release} does. */
export function bytesOf(page: Exactly<Page>): Uint8Array {
  return ownerOf(page).bytes(bits(page))
}

/** Place of a net_iov that is out, of any pool. Throws as {@link release} does. */
export function placeOf(iov: Exactly<NetIov>): Place {
  return ownerOf(iov).place(bits(iov))
}

/** Error for a value that is no handle, or a handle of another pool or of none. */
export function unknownHandle(handle: unknown): HandleError {
  if (typeof handle !== 'number' || (handle | 0) !== handle) {
    return new HandleError(
      'NETMEM_WRONG_KIND',
      `Not a handle but ${typeof handle === 'number' ? handle : typeof handle}. Pass what alloc() returned.`,
    )
  }
  const known = claimed[rangeOf(handle)] === 1
  return new HandleError(
    'NETMEM_FOREIGN_HANDLE',
    `The handle belongs to ${known ? 'another pool' : 'no pool of this thread'}. Give memory back to the pool that handed it out.`,
  )
}

/** Owners of the table, each once, in the order of their ranges. */
export function allOwners(): Set<HandleOwner> {
  return new Set(owners.filter((owner) => owner !== undefined))
}

/**
 * Claims neighbouring ranges for `slots` slots: the first index, the states of the slots, each of which
 * is the slot's first handle, and a cache, closed, with its start in {@link caches}. Throws
 * NETMEM_OUT_OF_RANGE when none are left.
 */
export function claimHandles(
  ofKind: 'page' | 'net_iov',
  slots: number,
  owner: HandleOwner,
): {
  readonly base: number
  readonly handles: Int32Array
  readonly at: number
  readonly cache: Int32Array
} {
  const ranges = Math.ceil(slots / RANGE_SLOTS)
  let first = 0
  for (let at = 0; at < RANGE_MASK && at - first < ranges; at++) {
    if (claimed[at] === 1) first = at + 1
  }
  if (first + ranges > RANGE_MASK) {
    throw new ArgumentRangeError(
      'NETMEM_OUT_OF_RANGE',
      `${slots} more pages do not fit: a thread's pools have at most ${MAX_SLOTS} together. Use larger pages, or destroy pools that are no longer needed.`,
    )
  }
  owners.fill(owner, first, first + ranges)
  claimed.fill(1, first, first + ranges)
  const base = first * RANGE_SLOTS
  const handles = states.subarray(base, base + slots)
  const tag = ofKind === 'page' ? 0 : TAG
  for (const [slot, state] of handles.entries()) {
    const before = state === 0 ? GENERATION_STEP | ((base + slot) << INDEX_SHIFT) : state
    handles[slot] = (before & ~TAG) | tag
  }
  const at = (1 + first) * CACHE_INTS
  cacheAt.fill(at, first, first + ranges)
  const cache = caches.subarray(at, at + CACHE_INTS)
  cache[0] = CLOSED
  return { base, handles, at, cache }
}

/** Gives back what {@link claimHandles} claimed for `owner`. The states stay, as the handles that come next. */
export function releaseHandles(owner: HandleOwner): void {
  for (const [range, present] of owners.entries()) {
    if (present !== owner) continue
    owners[range] = undefined
    claimed[range] = 0
    cacheAt[range] = 0
  }
}
