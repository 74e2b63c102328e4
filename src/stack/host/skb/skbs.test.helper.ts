/** Skbs for tests: of pages and of net_iovs, whose bytes a test can know. */

import assert from 'node:assert/strict'
import { isNetIov, isPage, type NetIov, type Netmem, type Page, retain } from '../../../netmem.ts'
import { createPool, dualPool } from '../../../pool/create-pool.ts'
import type { NetIovProvider } from '../../../pool/memory-provider.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { hostProvider } from '../../../providers/host.ts'
import { testDeviceProvider } from '../../../testing/index.ts'
import { type Endable, some } from '../../../testing/pools.test.helper.ts'
import { copyBits } from './readable.ts'
import type { AnySkb, Skb, SkbCache } from './skb.ts'
import { createNetIovSkbCache, createPageSkbCache } from './skb-cache.ts'

export const PAGE_BYTES = 4096
export const HEAD_BYTES = 256

/** A pool of `M`, or a dual one that has such. */
export type TestPool<M extends Netmem> = Endable &
  Pick<PagePool<M>, 'bytes' | 'notify' | 'put' | 'references' | 'stats'>

/** A piece of payload in a frag: bytes `offset` to `offset + length` of the netmem numbered `netmem`. */
export interface Piece {
  readonly netmem: number
  readonly offset: number
  readonly length: number
}

/** A pool and its skbs. Skbs that name the same number share one netmem. */
export class SkbSource<M extends Netmem> {
  readonly cache: SkbCache<M>
  readonly pool: TestPool<M>
  readonly #alloc: () => M | undefined
  readonly #named = new Map<number, M>()

  constructor(cache: SkbCache<M>, pool: TestPool<M>, alloc: () => M | undefined) {
    this.cache = cache
    this.pool = pool
    this.#alloc = alloc
  }

  /** Returns a netmem by number, the same one until {@link forget} is called. */
  netmem(number: number): M {
    const known = this.#named.get(number)
    if (known !== undefined) {
      retain(known)
      return known
    }
    const m = some(this.#alloc())
    this.#named.set(number, m)
    return m
  }

  /** Numbers mean other netmem from here on. */
  forget(): void {
    this.#named.clear()
  }

  /** An skb with `headers` bytes of headers, then `linear`, then frags. */
  skb(pieces: readonly Piece[], linear: Uint8Array = new Uint8Array(0), headers = 54): Skb<M> {
    const skb = this.cache.take()
    skb.head.fill(0xee, 0, headers)
    skb.head.set(linear, headers)
    skb.headLength = headers + linear.length
    skb.payloadOffset = headers
    // All references first, as a driver that posts several buffers of one netmem has them.
    const memory = pieces.map(({ netmem }) => this.netmem(netmem))
    for (const [at, { offset, length }] of pieces.entries()) {
      assert.ok(skb.addFrag(some(memory[at]), offset, length))
    }
    return skb
  }
}

/** Source of skbs in pages, which can write and read their bytes. */
export class PageSource extends SkbSource<Page> {
  /** An skb whose payload is `bytes`: the first `linear` of them linear, the rest in pages of its own. */
  of(bytes: Uint8Array, linear = 0): Skb<Page> {
    this.forget()
    const pieces: Piece[] = []
    for (let at = linear; at < bytes.length; at += PAGE_BYTES - 64) {
      pieces.push({
        netmem: pieces.length,
        offset: 32,
        length: Math.min(PAGE_BYTES - 64, bytes.length - at),
      })
    }
    const skb = this.skb(pieces, bytes.subarray(0, linear))
    let at = linear
    for (const { netmem, offset, length } of pieces) {
      const page = skb.frags[netmem]
      if (page !== undefined) {
        this.pool.bytes(page).set(bytes.subarray(at, at + length), offset)
      }
      at += length
    }
    this.forget()
    return skb
  }
}

/** Pools of a test: `plain` for one kind each, or `dual`. */
export type Making = 'plain' | 'dual'
export const makings: readonly Making[] = ['plain', 'dual']

export function pageSource(pages = 64, making: Making = 'plain'): PageSource {
  const provider = hostProvider({ pages, pageSize: PAGE_BYTES })
  if (making === 'plain') {
    const pool: PagePool<Page> = createPool(provider)
    return new PageSource(createPageSkbCache(pool, HEAD_BYTES), pool, () => pool.alloc())
  }
  const pool = dualPool(provider)
  const owner: TestPool<Page> = pool
  return new PageSource(createPageSkbCache(pool, HEAD_BYTES), owner, () => {
    const m = pool.alloc()
    assert.ok(m === undefined || isPage(m))
    return m
  })
}

export class IovSource extends SkbSource<NetIov> {
  readonly provider: NetIovProvider

  constructor(
    cache: SkbCache<NetIov>,
    pool: TestPool<NetIov>,
    alloc: () => NetIov | undefined,
    provider: NetIovProvider,
  ) {
    super(cache, pool, alloc)
    this.provider = provider
  }
}

export function iovSource(netIovs = 64, making: Making = 'plain', bindingId = 1): IovSource {
  const provider = testDeviceProvider({ netIovs, pageSize: PAGE_BYTES, bindingId })
  if (making === 'plain') {
    const pool: PagePool<NetIov> = createPool(provider)
    const cache = createNetIovSkbCache(pool, HEAD_BYTES)
    return new IovSource(cache, pool, () => pool.alloc(), provider)
  }
  const pool = dualPool(provider)
  const owner: TestPool<NetIov> = pool
  const cache = createNetIovSkbCache(pool, HEAD_BYTES)
  const alloc = (): NetIov | undefined => {
    const m = pool.alloc()
    assert.ok(m === undefined || isNetIov(m))
    return m
  }
  return new IovSource(cache, owner, alloc, provider)
}

/** All payload of an skb of pages. */
export function payload(skb: Skb<Page>): Uint8Array {
  const bytes = new Uint8Array(skb.payloadLength)
  assert.equal(copyBits(skb, 0, bytes), bytes.length)
  return bytes
}

/** `length` bytes that differ from their neighbours, from `seed` on. */
export function pattern(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (seed + at * 7 + (at >> 8)) & 0xff)
}

/** The ranges of all frags, as `[handle, offset, length]`. */
export function ranges(skb: AnySkb): unknown[] {
  return Array.from({ length: skb.fragCount }, (_, at) => [
    skb.frags[at],
    skb.offsets[at],
    skb.lengths[at],
  ])
}
