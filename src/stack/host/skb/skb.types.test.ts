// Uses of an skb that the compiler takes.
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import type { NetIov, Netmem, Page } from '../../../netmem.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { compiled } from '../../../testing/pools.test.helper.ts'
import { coalesce } from './coalesce.ts'
import { checksumOf, copyBits, pull } from './readable.ts'
import type { AnySkb, Skb, SkbCache } from './skb.ts'
import { createNetIovSkbCache, createPageSkbCache } from './skb-cache.ts'

declare const page: Skb<Page>
declare const iov: Skb<NetIov>
declare const any: AnySkb
declare const pages: PagePool<Page>
declare const iovs: PagePool<NetIov>
declare const either: PagePool<Netmem>

test('bytes are asked of an skb of pages alone, and kind narrows', () => {
  compiled((target: Uint8Array) => {
    copyBits(page, 0, target)
    pull(page, 1)
    checksumOf(page, 0, 1)
    if (any.kind === 'page') {
      expectTypeOf(any).toEqualTypeOf<Skb<Page>>()
      copyBits(any, 0, target)
      pull(any, 1)
      checksumOf(any, 0, 1)
    } else {
      expectTypeOf(any).toEqualTypeOf<Skb<NetIov>>()
      // @ts-expect-error what is not a page, narrowed
      copyBits(any, 0, target)
    }
    // @ts-expect-error copying device memory
    copyBits(iov, 0, target)
    // @ts-expect-error pulling device memory
    pull(iov, 1)
    // @ts-expect-error a checksum of device memory
    checksumOf(iov, 0, 1)
    // @ts-expect-error copying what may be device memory
    copyBits(any, 0, target)
    // @ts-expect-error pulling what may be device memory
    pull(any, 1)
    // @ts-expect-error a checksum of what may be device memory
    checksumOf(any, 0, 1)
  })
})

test('skbs of one kind coalesce', () => {
  compiled((other: AnySkb) => {
    coalesce(page, page)
    coalesce(iov, iov)
    if (any.kind === 'page' && other.kind === 'page') coalesce(any, other)
    // @ts-expect-error pages and net_iovs
    coalesce(page, iov)
    // @ts-expect-error net_iovs and pages
    coalesce(iov, page)
    // @ts-expect-error of either kind, and not narrowed
    coalesce(any, other)
    // @ts-expect-error either into pages
    coalesce(page, any)
    // @ts-expect-error a type argument does not help
    coalesce<Netmem>(page, iov)
  })
})

test('there is no skb of either kind', () => {
  compiled(() => {
    expectTypeOf(createPageSkbCache(pages, 256).take()).toEqualTypeOf<Skb<Page>>()
    expectTypeOf(createNetIovSkbCache(iovs, 256).take()).toEqualTypeOf<Skb<NetIov>>()
    expectTypeOf(createPageSkbCache(either, 256).take()).toEqualTypeOf<Skb<Page>>()
    expectTypeOf(createNetIovSkbCache(either, 256).take()).toEqualTypeOf<Skb<NetIov>>()
    // @ts-expect-error skbs of pages need pages
    createPageSkbCache(iovs, 256)
    // @ts-expect-error skbs of net_iovs need net_iovs
    createNetIovSkbCache(pages, 256)
    // @ts-expect-error a cache of pages makes none of either
    const a: SkbCache<Netmem> = createPageSkbCache(either, 256)
    return void a
  })
})

test('no skb is another: all ways', () => {
  compiled((neither: Skb<Netmem>) => {
    // @ts-expect-error pages for net_iovs
    const a: Skb<NetIov> = page
    // @ts-expect-error net_iovs for pages
    const b: Skb<Page> = iov
    // @ts-expect-error pages for either
    const c: Skb<Netmem> = page
    // @ts-expect-error net_iovs for either
    const d: Skb<Netmem> = iov
    // @ts-expect-error one of the two for either
    const e: Skb<Netmem> = any
    // @ts-expect-error either for pages
    const f: Skb<Page> = neither
    // @ts-expect-error either for net_iovs
    const g: Skb<NetIov> = neither
    // @ts-expect-error either for one of the two
    const h: AnySkb = neither
    const face: Pick<Skb<Page>, keyof Skb<Page>> = page
    // @ts-expect-error an skb cannot be made up: it is nominal
    const i: Skb<Page> = face
    return [a, b, c, d, e, f, g, h, i]
  })
})
