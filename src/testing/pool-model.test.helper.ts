/** Model of a page pool, with lists and maps of slot numbers. Not published. */

import type { ErrorCode } from '../errors.ts'
import type { PagePoolStats } from '../pool/stats.ts'

type Counters<T> = { -readonly [Name in keyof T]: number }

const CACHE = 128
const REFILL = 64
const GENERATIONS = 2 ** 14

export class PoolModel {
  readonly #kind: 'page' | 'net_iov'
  readonly #capacity: number
  readonly #ringSize: number
  /** Slots at rest. The last of the cache and the first of the ring are the next to go. */
  #cache: number[] = []
  #ring: number[] = []
  /** References of each slot that is out. */
  readonly out: Map<number, number> = new Map()
  /** Times that each slot has been given back, over all pools. */
  readonly #uses = new Map<number, number>()
  #alloc: Counters<PagePoolStats['alloc']> = noAlloc()
  #recycle: Counters<PagePoolStats['recycle']> = noRecycle()
  #copied: Counters<PagePoolStats['copied']>
  #destroyed = false
  #waiting = 0
  /** Callbacks that have been called. */
  woken = 0
  /** Slots given back to the provider, in order. */
  releasedSlots: number[] = []

  constructor(kind: 'page' | 'net_iov', capacity: number, ringSize: number, pageSize: number) {
    this.#copied = { frags: 0, bytes: 0, bytes_out: 0, limit: capacity * pageSize }
    this.#kind = kind
    this.#capacity = capacity
    this.#ringSize = ringSize
  }

  /** The slot that comes next. `given` is what the provider gave for it, if it was asked. */
  alloc(given: readonly number[]): number | undefined {
    const cached = this.#cache.pop()
    if (cached !== undefined) {
      if (given.length > 0)
        throw new Error('The provider was asked though the cache had something.')
      this.#alloc.fast++
      return this.#goesOut(cached)
    }
    if (this.#ring.length > 0) {
      if (given.length > 0) throw new Error('The provider was asked though the ring had something.')
      this.#cache = this.#ring.splice(0, REFILL)
      this.#alloc.refill++
    } else {
      const free = this.#capacity - this.out.size
      if (given.length !== Math.min(REFILL, free))
        throw new Error(`It gave ${given.length} of ${free}.`)
      this.#cache = [...given]
      this.#alloc.empty++
      if (given.length > 0 && this.#kind === 'page') this.#alloc.slow++
    }
    const slot = this.#cache.pop()
    return slot === undefined ? undefined : this.#goesOut(slot)
  }

  #goesOut(slot: number): number {
    if (this.out.has(slot)) throw new Error(`Slot ${slot} has two holders.`)
    this.out.set(slot, 1)
    return slot
  }

  retain(slot: number, count: number): void {
    this.out.set(slot, this.references(slot) + count)
  }

  references(slot: number): number {
    const references = this.out.get(slot)
    if (references === undefined) throw new Error(`Slot ${slot} is not out.`)
    return references
  }

  /** Returns true if the slot rests afterwards. */
  put(slot: number, direct: boolean): boolean {
    const references = this.references(slot) - 1
    if (references > 0) {
      this.out.set(slot, references)
      return false
    }
    this.out.delete(slot)
    this.#uses.set(slot, this.use(slot) + 1)
    if (this.#destroyed) {
      this.releasedSlots.push(slot)
      return true
    }
    if (direct && this.#cache.length < CACHE) {
      this.#cache.push(slot)
      this.#recycle.cached++
    } else {
      if (direct) this.#recycle.cache_full++
      if (this.#ring.length < this.#ringSize) {
        this.#ring.push(slot)
        this.#recycle.ring++
      } else {
        this.releasedSlots.push(slot)
        this.#recycle.ring_full++
      }
    }
    this.#wake()
    return true
  }

  /** Number of the slot's present use, or of its next one. */
  use(slot: number): number {
    return this.#uses.get(slot) ?? 0
  }

  /** Error that putting a handle of that use throws, or `undefined` for a handle that looks good. */
  misuse(slot: number, use: number): ErrorCode | undefined {
    const age = (this.use(slot) - use) % GENERATIONS
    if (age === 0) return undefined
    return age === 1 && !this.out.has(slot) ? 'NETMEM_DOUBLE_PUT' : 'NETMEM_STALE_HANDLE'
  }

  /** Returns true if one more waits: not while there is memory. */
  wait(): boolean {
    if (this.available > 0) return false
    this.#waiting++
    return true
  }

  #wake(): void {
    this.woken += this.#waiting
    this.#waiting = 0
  }

  get available(): number {
    return this.#destroyed ? 0 : this.#capacity - this.out.size
  }

  copyMade(bytes: number): void {
    this.#copied.frags++
    this.#copied.bytes += bytes
    this.#copied.bytes_out += bytes
  }

  copyDropped(bytes: number): void {
    this.#copied.bytes_out -= bytes
  }

  destroy(): void {
    this.#destroyed = true
    this.releasedSlots.push(...this.#cache.toReversed(), ...this.#ring)
    this.#cache = []
    this.#ring = []
    this.#wake()
  }

  /** The same memory in a new pool. */
  begin(): void {
    if (this.out.size > 0) throw new Error('Something is out.')
    this.#alloc = noAlloc()
    this.#recycle = noRecycle()
    this.#copied = { ...this.#copied, frags: 0, bytes: 0, bytes_out: 0 }
    this.#destroyed = false
    this.woken = 0
    this.releasedSlots = []
  }

  /** `inFrags`: slots that frags hold. */
  stats(inFrags: ReadonlySet<number>): PagePoolStats {
    return {
      alloc: { ...this.#alloc },
      recycle: { ...this.#recycle },
      inflight: this.out.size + this.#cache.length + this.#ring.length,
      out: this.out.size,
      handles: this.out.size - inFrags.size,
      copied: { ...this.#copied },
    }
  }
}

function noAlloc(): Counters<PagePoolStats['alloc']> {
  return { fast: 0, slow: 0, slow_high_order: 0, empty: 0, refill: 0, waive: 0 }
}

function noRecycle(): Counters<PagePoolStats['recycle']> {
  return { cached: 0, cache_full: 0, ring: 0, ring_full: 0, released_refcnt: 0 }
}
