/**
 * One received packet: linear bytes (headers, and payload that landed with them) and frags, all of
 * one kind of memory. An skb of net_iovs is unreadable: the host may count it, pass it on and free
 * it, and never looks inside. There is no skb of both kinds: `Skb<Netmem>` has no values
 * (Linux, skb_frags_readable; mixing was CVE-2026-74627).
 */

import { checkInteger, HandleError, LifetimeError } from '../../../errors.ts'
import { isPage, type KindOf, type NetIov, type Netmem, type Page } from '../../../netmem.ts'
import type { FragOwner } from '../../../pool/frag.ts'
import type { Keeper } from '../../../pool/frag-ledger.ts'
import type { NetIovProvider } from '../../../pool/memory-provider.ts'
import type { PagePool } from '../../../pool/page-pool.ts'

/** Frags an skb has at most, as in the kernel. */
export const MAX_SKB_FRAGS = 17

/** Where net_iovs are: their binding, and their offsets in its dma-buf. A provider of net_iovs is one. */
export type IovPlaces = Pick<NetIovProvider, 'binding' | 'offset'>

/** An skb whose `kind` tells what it is of; narrow it before its bytes are asked for. */
export type AnySkb = Skb<Page> | Skb<NetIov>

/** One packet, or several coalesced into one. Made by an {@link SkbCache}; whoever has it frees it. */
export class Skb<in out M extends Netmem> {
  readonly kind: KindOf<M>
  /** @internal The pool that its frags go back to. */
  readonly owner: FragOwner<M>
  /** @internal Where its net_iovs are, if anybody has said. */
  places: IovPlaces | undefined
  /** The linear bytes: the first `headLength` of it. */
  readonly head: Uint8Array
  /** The same bytes, for copies word by word. */
  readonly headView: DataView
  headLength = 0
  /** Where payload begins in the linear bytes, after the last header. */
  payloadOffset = 0
  fragCount = 0
  /** @internal One handle per frag, with its keeper and its range of bytes. */
  readonly frags: M[] = []
  /** @internal None where somebody else has taken the reference over. */
  readonly keepers: (Keeper | undefined)[] = []
  /** @internal */
  readonly offsets: Int32Array = new Int32Array(MAX_SKB_FRAGS)
  /** @internal */
  readonly lengths: Int32Array = new Int32Array(MAX_SKB_FRAGS)
  /** Bytes in frags. */
  dataLength = 0
  /** The RX queue it came by. */
  queue = 0
  /** RSS hash, signed; 0 without one. */
  hash = 0
  /** The NIC has verified its checksums (CHECKSUM_UNNECESSARY). */
  checksumVerified = false
  /** The NIC has found a wrong checksum: no receiver takes it (RFC 9293, 3.1, MUST-3). */
  checksumBad = false
  /** TCP segments in it. */
  segments = 1
  readonly #cache: SkbCache<M>
  #freed = true

  private constructor(
    kind: KindOf<M>,
    owner: FragOwner<M>,
    cache: SkbCache<M>,
    places: IovPlaces | undefined,
  ) {
    this.kind = kind
    this.owner = owner
    this.places = places
    this.head = new Uint8Array(cache.headBytes)
    this.headView = new DataView(this.head.buffer)
    this.#cache = cache
  }

  /** @internal Of pages. Together with {@link ofNetIovs} the only way to one: there is no third. */
  static ofPages(owner: FragOwner<Page>, cache: SkbCache<Page>): Skb<Page> {
    return new Skb<Page>('page', owner, cache, undefined)
  }

  /** @internal Of net_iovs. */
  static ofNetIovs(
    owner: FragOwner<NetIov>,
    cache: SkbCache<NetIov>,
    places: IovPlaces | undefined,
  ): Skb<NetIov> {
    return new Skb<NetIov>('net_iov', owner, cache, places)
  }

  /** Bytes of payload: those after the headers, linear and in frags. */
  get payloadLength(): number {
    return this.headLength - this.payloadOffset + this.dataLength
  }

  /** Whether it has been freed, and may be another packet's by now. */
  get freed(): boolean {
    return this.#freed
  }

  /**
   * @internal Adds a frag, taking over one reference; false when there is no place for it.
   * Throws NETMEM_WRONG_KIND and NETMEM_SKB_FREED, before anything is changed.
   */
  addFrag(m: M, keeper: Keeper, offset: number, length: number): boolean {
    if (this.#freed) throw freedAlready()
    if (isPage(m) !== (this.kind === 'page')) throw mixed()
    const at = this.fragCount
    if (at === MAX_SKB_FRAGS) return false
    this.frags[at] = m
    this.keepers[at] = keeper
    keeper.record.skbFrags++
    this.offsets[at] = offset
    this.lengths[at] = length
    this.fragCount = at + 1
    this.dataLength += length
    return true
  }

  /** @internal Hands a frag's reference over: the caller's from here, and not given back by `free`. */
  takeFrag(at: number): Keeper {
    const keeper = this.keepers[at]
    if (this.#freed || keeper === undefined) throw freedAlready()
    this.keepers[at] = undefined
    keeper.record.skbFrags--
    return keeper
  }

  /** @internal A reference of the caller's own to a frag's memory, beside the skb's. */
  shareFrag(at: number): Keeper {
    const m = this.frags[at]
    const keeper = this.keepers[at]
    if (this.#freed || m === undefined || keeper === undefined) throw freedAlready()
    this.owner.ref(m)
    return keeper
  }

  /**
   * Takes bytes off the front of the payload and gives back the frags that become empty; returns
   * how many there were to take. Throws NETMEM_SKB_FREED and NETMEM_OUT_OF_RANGE.
   */
  trimFront(bytes: number): number {
    if (this.#freed) throw freedAlready()
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER)
    const linear = Math.min(bytes, this.headLength - this.payloadOffset)
    this.payloadOffset += linear
    return linear + this.trimFrags(bytes - linear)
  }

  /** @internal Takes bytes off the front of the frags; returns how many. */
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
    if (this.#freed) throw freedAlready()
    checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER)
    let left = Math.min(bytes, this.dataLength)
    this.dataLength -= left
    const inFrags = left
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
   * @internal Moves the first `bytes` of the payload, 0 to all of it, into an skb of their own; a
   * netmem with bytes of both is shared by both. Headers stay here.
   */
  splitFront(bytes: number): Skb<M> {
    if (this.#freed) throw freedAlready()
    const front = this.#cache.take()
    front.places = this.places
    front.queue = this.queue
    front.hash = this.hash
    front.checksumVerified = this.checksumVerified
    front.checksumBad = this.checksumBad
    const linear = Math.min(bytes, this.headLength - this.payloadOffset)
    front.head.set(this.head.subarray(this.payloadOffset, this.payloadOffset + linear))
    front.headLength = linear
    this.payloadOffset += linear
    let left = bytes - linear
    let moved = 0
    while (left > 0 && moved < this.fragCount) {
      const m = this.frags[moved]
      const length = this.lengths[moved] ?? 0
      if (m === undefined) break
      const keeper = length > left ? this.shareFrag(moved) : this.takeFrag(moved)
      front.addFrag(m, keeper, this.offsets[moved] ?? 0, Math.min(length, left))
      if (length > left) break
      left -= length
      moved++
    }
    this.trimFrags(bytes - linear)
    return front
  }

  /** Gives all of its memory back. Throws NETMEM_SKB_FREED the second time. */
  free(): void {
    if (this.#freed) throw freedAlready()
    // First of all, since a put may call whoever waits for memory.
    this.#freed = true
    for (let at = 0; at < this.fragCount; at++) this.#putFrag(at)
    this.#rest()
  }

  /** @internal Back to its cache without its frags, which somebody else has taken over. */
  reuse(): void {
    if (this.#freed) throw freedAlready()
    this.#freed = true
    // Whoever looks for leaks must not find keepers held here.
    for (let at = 0; at < this.fragCount; at++) this.keepers[at] = undefined
    this.#rest()
  }

  /** @internal */
  begin(): this {
    this.#freed = false
    return this
  }

  #rest(): void {
    this.headLength = 0
    this.payloadOffset = 0
    this.fragCount = 0
    this.dataLength = 0
    this.queue = 0
    this.hash = 0
    this.checksumVerified = false
    this.checksumBad = false
    this.segments = 1
    this.#cache.giveBack(this)
  }

  #putFrag(at: number): void {
    const m = this.frags[at]
    const keeper = this.keepers[at]
    this.keepers[at] = undefined
    if (m === undefined || keeper === undefined) return
    keeper.record.skbFrags--
    this.owner.putFrag(m, keeper)
  }

  /** Gives back the first `count` frags; the others move up. */
  #dropFront(count: number): void {
    for (let at = 0; at < count; at++) this.#putFrag(at)
    const left = this.fragCount - count
    for (let at = 0; at < left; at++) {
      const m = this.frags[at + count]
      if (m !== undefined) this.frags[at] = m
      this.keepers[at] = this.keepers[at + count]
      this.offsets[at] = this.offsets[at + count] ?? 0
      this.lengths[at] = this.lengths[at + count] ?? 0
      this.keepers[at + count] = undefined
    }
    this.fragCount = left
  }
}

/** Makes skbs of one kind and uses freed ones again: receiving makes no garbage. */
export class SkbCache<in out M extends Netmem> {
  /** Linear bytes that each skb has room for. */
  readonly headBytes: number
  readonly #make: (cache: SkbCache<M>) => Skb<M>
  readonly #places: IovPlaces | undefined
  readonly #free: Skb<M>[] = []

  private constructor(headBytes: number, make: (cache: SkbCache<M>) => Skb<M>, places?: IovPlaces) {
    this.headBytes = headBytes
    this.#make = make
    this.#places = places
  }

  /** For skbs of pages of a pool of pages or a dual one. */
  static ofPages(pool: PagePool<Page> | PagePool<Netmem>, headBytes: number): SkbCache<Page> {
    const owner: FragOwner<Page> = pool
    return new SkbCache<Page>(headBytes, (cache) => Skb.ofPages(owner, cache))
  }

  /** For skbs of net_iovs of a pool; `places`, such as the pool's provider, tells a socket where they are. */
  static ofNetIovs(
    pool: PagePool<NetIov> | PagePool<Netmem>,
    headBytes: number,
    places?: IovPlaces,
  ): SkbCache<NetIov> {
    const owner: FragOwner<NetIov> = pool
    const make = (cache: SkbCache<NetIov>): Skb<NetIov> => Skb.ofNetIovs(owner, cache, places)
    return new SkbCache<NetIov>(headBytes, make, places)
  }

  /** An empty skb. */
  take(): Skb<M> {
    return (this.#free.pop() ?? this.#make(this)).begin()
  }

  /** @internal What `free` and `reuse` of its skbs end with. */
  giveBack(skb: Skb<M>): void {
    skb.places = this.#places
    this.#free.push(skb)
  }
}

/** @internal */
export function freedAlready(): LifetimeError {
  return new LifetimeError(
    'NETMEM_SKB_FREED',
    'This skb has been freed, or its memory taken over. Whoever has it frees it, once.',
  )
}

/** @internal */
export function mixed(): HandleError {
  return new HandleError(
    'NETMEM_WRONG_KIND',
    'One skb has memory of one kind: pages or net_iovs. Start another skb where the kind changes.',
  )
}
