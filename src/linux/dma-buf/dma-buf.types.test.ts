// The type of a provider says which memory was asked for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectTypeOf } from 'expect-type'
import type { NetIov, Page } from '../../netmem.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { PagePool } from '../../pool/page-pool.ts'
import { dmaHeapProvider, udmabufProvider } from './index.ts'

test('pages and net_iovs of a dma-buf are different types', () => {
  assert.equal(typeof programs, 'function')
})

/** Compiled, and never run. */
function programs(kind: 'page' | 'net_iov'): void {
  expectTypeOf(createPool(udmabufProvider({ pages: 1 }))).toEqualTypeOf<PagePool<Page>>()
  expectTypeOf(createPool(udmabufProvider({ pages: 1, kind: 'page' }))).toEqualTypeOf<
    PagePool<Page>
  >()
  expectTypeOf(createPool(udmabufProvider({ pages: 1, kind: 'net_iov' }))).toEqualTypeOf<
    PagePool<NetIov>
  >()
  expectTypeOf(createPool(dmaHeapProvider({ pages: 1, kind: 'net_iov' }))).toEqualTypeOf<
    PagePool<NetIov>
  >()
  // @ts-expect-error which of the two it is has to be known
  udmabufProvider({ pages: 1, kind })
  // @ts-expect-error pages have no binding
  udmabufProvider({ pages: 1 }).bindTo({ id: 1 })
  // @ts-expect-error net_iovs have no bytes
  console.log(udmabufProvider({ pages: 1, kind: 'net_iov' }).bytes)
}
