/**
 * One received packet: linear bytes (headers, and payload that landed with them) and frags, all of
 * one kind of memory. An skb of net_iovs is unreadable: the host may count it, pass it on and free
 * it, and never looks inside. There is no skb of both kinds: `Skb<Netmem>` has no values
 * (Linux, skb_frags_readable; mixing was CVE-2026-74627).
 */

import { LifetimeError } from '../../errors.ts'
import type { KindOf, NetIov, Netmem, Page } from '../../netmem.ts'
import type { FragOwner } from '../../pool/frag.ts'
import type { Keeper } from '../../pool/frag-ledger.ts'
import type { PagePool } from '../../pool/page-pool.ts'

/** Frags an skb has at most, as in the kernel. */
export const MAX_SKB_FRAGS = 17

/** One packet, or several coalesced into one. Made by an {@link SkbCache}; whoever has it frees it. */
export class Skb<in out M extends Netmem> {
  readonly kind: KindOf<M>
  /** @internal The pool that its frags go back to. */
  readonly owner: FragOwner<M>
  /** The linear bytes: the first `headLength` of it. */
  readonly head: Uint8Array
  headLength = 0
  /** Where payload begins in the linear bytes, after the last header. */
  payloadOffset = 0
  fragCount = 0
  /** @internal One handle per frag, with its keeper and its range of bytes. */
  readonly frags: M[] = []
  /** @internal */
  readonly keepers: Keeper[] = []
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
  /** TCP segments in it. */
  segments = 1
  readonly #cache: Skb<M>[]
  #freed = true

  /** @internal */
  constructor(kind: KindOf<M>, owner: FragOwner<M>, headBytes: number, cache: Skb<M>[]) {
    this.kind = kind
    this.owner = owner
    this.head = new Uint8Array(headBytes)
    this.#cache = cache
  }

  /** Bytes of payload: those after the headers, linear and in frags. */
  get payloadLength(): number {
    return this.headLength - this.payloadOffset + this.dataLength
  }

  /** @internal Adds a frag, taking over one reference; false when there is no place for it. */
  addFrag(m: M, keeper: Keeper, offset: number, length: number): boolean {
    const at = this.fragCount
    if (at === MAX_SKB_FRAGS) return false
    this.frags[at] = m
    this.keepers[at] = keeper
    this.offsets[at] = offset
    this.lengths[at] = length
    this.fragCount = at + 1
    this.dataLength += length
    return true
  }

  /** Gives all of its memory back. Throws NETMEM_SKB_FREED the second time. */
  free(): void {
    if (this.#freed) throw freedAlready()
    for (let at = 0; at < this.fragCount; at++) {
      const m = this.frags[at]
      const keeper = this.keepers[at]
      if (m !== undefined && keeper !== undefined) this.owner.putFrag(m, keeper)
    }
    this.reuse()
  }

  /** @internal Back to its cache without its frags, which somebody else has taken over. */
  reuse(): void {
    this.#freed = true
    this.headLength = 0
    this.payloadOffset = 0
    this.fragCount = 0
    this.dataLength = 0
    this.segments = 1
    this.#cache.push(this)
  }

  /** @internal */
  begin(): this {
    this.#freed = false
    return this
  }
}

/** Makes skbs of one kind and uses freed ones again: receiving makes no garbage. */
export class SkbCache<in out M extends Netmem> {
  readonly #kind: KindOf<M>
  readonly #owner: FragOwner<M>
  readonly #headBytes: number
  readonly #free: Skb<M>[] = []

  /** @internal */
  private constructor(kind: KindOf<M>, owner: FragOwner<M>, headBytes: number) {
    this.#kind = kind
    this.#owner = owner
    this.#headBytes = headBytes
  }

  /** For skbs of pages of `owner`, which may be a pool of pages or a dual one. */
  static ofPages(owner: PagePool<Page> | PagePool<Netmem>, headBytes: number): SkbCache<Page> {
    return new SkbCache<Page>('page', owner, headBytes)
  }

  /** For skbs of net_iovs of `owner`. */
  static ofNetIovs(
    owner: PagePool<NetIov> | PagePool<Netmem>,
    headBytes: number,
  ): SkbCache<NetIov> {
    return new SkbCache<NetIov>('net_iov', owner, headBytes)
  }

  /** An empty skb. */
  take(): Skb<M> {
    const skb = this.#free.pop() ?? new Skb<M>(this.#kind, this.#owner, this.#headBytes, this.#free)
    return skb.begin()
  }
}

function freedAlready(): LifetimeError {
  return new LifetimeError(
    'NETMEM_SKB_FREED',
    'This skb has been freed. Whoever has it frees it, once.',
  )
}
