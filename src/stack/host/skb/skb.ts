/**
 * One received packet: linear bytes (headers, and payload that landed with them) and frags, all of
 * one kind of memory. An skb of net_iovs is unreadable: the host counts it, passes it on and frees
 * it, and never looks inside. There is no skb of both kinds: `Skb<Netmem>` has no values (Linux,
 * skb_frags_readable). Mixing was CVE-2026-74627.
 */

import { checkInteger, HandleError, LifetimeError } from '../../../errors.ts'
import {
  isPage,
  type KindOf,
  type NetIov,
  type Netmem,
  type Page,
  release,
  retain,
} from '../../../netmem.ts'
import type { copiedFrag } from '../../../pool/frag.ts'
import { reportLeak } from '../../../pool/leaks.ts'

/** Largest number of frags of an skb, as in the kernel. */
export const MAX_SKB_FRAGS = 17

/** An skb of either kind. Narrow its `kind` before asking for its bytes. */
export type AnySkb = Skb<Page> | Skb<NetIov>

/** @internal Pool of an skb: counts copies of linear bytes. */
export type SkbPool = Parameters<typeof copiedFrag>[0] & { readonly pageSize: number }

/** Memory of one skb object, which is reported if the object is collected with some of it. */
interface SkbMemory {
  readonly pageSize: number
  readonly frags: readonly (Netmem | undefined)[]
}

// One entry for each skb object, made once: skbs are used again.
const dropped = new FinalizationRegistry<SkbMemory>(({ pageSize, frags }) => {
  const held = new Set(frags)
  held.delete(undefined)
  for (let left = held.size; left > 0; left--) {
    reportLeak({ kind: 'skb', pageSize, label: undefined, stack: undefined })
  }
})

/**
 * One packet, or several coalesced into one. An `SkbCache` makes it, and its holder frees it. It has no
 * `using`: a holder passes it on, and the object is another packet's after {@link free}.
 */
export class Skb<in out M extends Netmem> {
  /** Kind of the frags' memory. */
  readonly kind: KindOf<M>
  /** Memory of the linear bytes, which are its first `headLength` bytes. */
  readonly head: Uint8Array
  /** The same memory, for copies word by word. */
  readonly headView: DataView
  /** Linear bytes of the packet. */
  headLength = 0
  /** Offset in the linear bytes at which payload begins, after the last header. */
  payloadOffset = 0
  /** Number of frags, 0 to {@link MAX_SKB_FRAGS}. */
  fragCount = 0
  /** @internal Handle of each frag, with the range of its bytes. `undefined` where its reference was handed on. */
  readonly frags: (M | undefined)[] = []
  /** @internal */
  readonly offsets: Int32Array = new Int32Array(MAX_SKB_FRAGS)
  /** @internal */
  readonly lengths: Int32Array = new Int32Array(MAX_SKB_FRAGS)
  /** Bytes in frags. */
  dataLength = 0
  /** RX queue that received it. */
  queue = 0
  /** RSS hash, as signed 32-bit. 0 without one. */
  hash = 0
  /** True if the NIC has verified the checksums (CHECKSUM_UNNECESSARY). */
  checksumVerified = false
  /** True if the NIC has found a wrong checksum: no receiver takes it (RFC 9293, 3.1, MUST-3). */
  checksumBad = false
  /** TCP segments in it. */
  segments = 1
  /** @internal Takes it back when it is freed. */
  readonly cache: SkbCache<M>
  #freed = true

  /** @internal Called by caches alone, which are of pages or of net_iovs. */
  constructor(cache: SkbCache<M>) {
    this.kind = cache.kind
    this.head = new Uint8Array(cache.headBytes)
    this.headView = new DataView(this.head.buffer)
    this.cache = cache
    dropped.register(this, { pageSize: cache.pool.pageSize, frags: this.frags })
  }

  /** Bytes of payload: those after the headers, linear and in frags. */
  get payloadLength(): number {
    return this.headLength - this.payloadOffset + this.dataLength
  }

  /** True once it is freed. It may be another packet's by now. */
  get freed(): boolean {
    return this.#freed
  }

  /**
   * @internal Adds a frag and takes over one reference. Returns false, and the reference stays the
   * caller's, when the skb has no place for it.
   * @throws NETMEM_WRONG_KIND and NETMEM_SKB_FREED, before anything is changed.
   */
  addFrag(m: M, offset: number, length: number): boolean {
    if (this.#freed) throw freedAlready()
    if (isPage(m) !== (this.kind === 'page')) throw mixed()
    const at = this.fragCount
    if (at === MAX_SKB_FRAGS) return false
    this.frags[at] = m
    this.offsets[at] = offset
    this.lengths[at] = length
    this.fragCount = at + 1
    this.dataLength += length
    return true
  }

  /** @internal Returns the handle of a frag, whose reference stays the skb's. */
  frag(at: number): M {
    const m = this.frags[at]
    if (this.#freed || m === undefined) throw freedAlready()
    return m
  }

  /** @internal Hands the reference of a frag to the caller: `free` does not give it back. */
  takeFrag(at: number): M {
    const m = this.frag(at)
    this.frags[at] = undefined
    return m
  }

  /** @internal Adds a reference to the memory of a frag, for the caller. */
  shareFrag(at: number): M {
    const m = this.frag(at)
    retain(m)
    return m
  }

  /**
   * Takes bytes off the front of the payload and gives back the frags that become empty.
   *
   * @returns Bytes taken: less than `bytes` where the payload is shorter.
   * @throws NETMEM_SKB_FREED and NETMEM_OUT_OF_RANGE.
   */
  trimFront(bytes: number): number {
    this.#checkTrim(bytes)
    const linear = Math.min(bytes, this.headLength - this.payloadOffset)
    this.payloadOffset += linear
    return linear + this.trimFrags(bytes - linear)
  }

  /** @internal Takes bytes off the front of the frags. Returns how many. */
  trimFrags(bytes: number): number {
    const trimmed = Math.min(bytes, this.dataLength)
    let left = trimmed
    let empty = 0
    while (left > 0 && empty < this.fragCount) {
      const length = this.lengths[empty] ?? 0
      if (length > left) {
        this.offsets[empty] = (this.offsets[empty] ?? 0) + left
        this.lengths[empty] = length - left
        break
      }
      left -= length
      empty++
    }
    this.dataLength -= trimmed
    if (empty > 0) this.#dropFront(empty)
    return trimmed
  }

  /** Takes bytes off the end of the payload, as {@link trimFront} does off its front. */
  trimEnd(bytes: number): number {
    this.#checkTrim(bytes)
    const inFrags = Math.min(bytes, this.dataLength)
    this.dataLength -= inFrags
    let left = inFrags
    while (left > 0) {
      const last = this.fragCount - 1
      const length = this.lengths[last] ?? 0
      if (length > left) {
        this.lengths[last] = length - left
        break
      }
      left -= length
      this.fragCount = last
      this.#putFrag(last)
    }
    const linear = Math.min(bytes - inFrags, this.headLength - this.payloadOffset)
    this.headLength -= linear
    return inFrags + linear
  }

  /**
   * @internal Moves the first `bytes` of the payload, 0 to all of it, into another skb. Both share
   * a netmem that has bytes of both. Headers stay here.
   */
  splitFront(bytes: number): Skb<M> {
    if (this.#freed) throw freedAlready()
    const front = this.cache.take()
    front.queue = this.queue
    front.hash = this.hash
    front.checksumVerified = this.checksumVerified
    front.checksumBad = this.checksumBad
    const linear = Math.min(bytes, this.headLength - this.payloadOffset)
    front.head.set(this.head.subarray(this.payloadOffset, this.payloadOffset + linear))
    front.headLength = linear
    this.payloadOffset += linear
    let left = bytes - linear
    for (let at = 0; left > 0 && at < this.fragCount; at++) {
      const length = this.lengths[at] ?? 0
      const m = length > left ? this.shareFrag(at) : this.takeFrag(at)
      front.addFrag(m, this.offsets[at] ?? 0, Math.min(length, left))
      left -= length
    }
    this.trimFrags(bytes - linear)
    return front
  }

  /**
   * Gives all of its memory back.
   *
   * @throws NETMEM_SKB_FREED the second time.
   */
  free(): void {
    if (this.#freed) throw freedAlready()
    // First, since a put may wake a receiver that waits for memory.
    this.#freed = true
    for (let at = 0; at < this.fragCount; at++) this.#putFrag(at)
    this.headLength = 0
    this.payloadOffset = 0
    this.fragCount = 0
    this.dataLength = 0
    this.queue = 0
    this.hash = 0
    this.checksumVerified = false
    this.checksumBad = false
    this.segments = 1
    this.cache.idle.push(this)
  }

  /** @internal */
  begin(): this {
    this.#freed = false
    return this
  }

  #putFrag(at: number): void {
    const m = this.frags[at]
    this.frags[at] = undefined
    if (m !== undefined) release(m)
  }

  /** Gives back the first `count` frags. The others move up. */
  #dropFront(count: number): void {
    for (let at = 0; at < count; at++) this.#putFrag(at)
    const left = this.fragCount - count
    for (let at = 0; at < left; at++) {
      this.frags[at] = this.frags[at + count]
      this.frags[at + count] = undefined
    }
    this.offsets.copyWithin(0, count, this.fragCount)
    this.lengths.copyWithin(0, count, this.fragCount)
    this.fragCount = left
  }

  #checkTrim(bytes: number): void {
    if (this.#freed) throw freedAlready()
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER)
  }
}

/**
 * Cache of skbs of one kind, made by `createPageSkbCache` or `createNetIovSkbCache`. Freed skbs are used
 * again, so that receiving makes no garbage.
 */
export class SkbCache<in out M extends Netmem> {
  /** @internal Kind of its skbs. */
  readonly kind: KindOf<M>
  /** Bytes of the linear part of each skb. */
  readonly headBytes: number
  /** @internal Pool of its skbs. */
  readonly pool: SkbPool
  /** @internal Freed skbs, which are used again. */
  readonly idle: Skb<M>[] = []

  /** @internal */
  constructor(kind: KindOf<M>, headBytes: number, pool: SkbPool) {
    this.kind = kind
    this.headBytes = headBytes
    this.pool = pool
  }

  /** Returns an empty skb. */
  take(): Skb<M> {
    return (this.idle.pop() ?? new Skb<M>(this)).begin()
  }
}

/** @internal */
export function freedAlready(): LifetimeError {
  return new LifetimeError(
    'NETMEM_SKB_FREED',
    'This skb has been freed, or its memory taken over. Free each skb once.',
  )
}

/** @internal */
export function mixed(): HandleError {
  return new HandleError(
    'NETMEM_WRONG_KIND',
    'One skb has memory of one kind: pages or net_iovs. Start another skb where the kind changes.',
  )
}
