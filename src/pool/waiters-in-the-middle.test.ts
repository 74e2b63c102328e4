// Waiters that are woken within another call of the pool, and do anything to it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { sharedProvider } from '../providers/shared.ts'
import { assertCode, end, some } from '../testing/pools.test.helper.ts'
import { attachPool } from './attached-pool.ts'
import { createFrag } from './create-frag.ts'
import { createPool } from './create-pool.ts'
import type { BorrowedFrag, HostFrag } from './frag.ts'
import type { Borrower } from './lent.ts'
import type { PagePool } from './page-pool.ts'

const pageSize = 4096
/** A borrower in this thread that never ends. */
const borrower: Borrower = { threadId: 1, once: () => undefined }

const fragOf = (pool: PagePool<Page>): HostFrag => createFrag(pool, some(pool.alloc()))

/** Lends the only entry of a pool, and receives it. */
function lent(pool: PagePool<Page>): BorrowedFrag {
  const attached = attachPool(pool.share({ lends: 1 }))
  return attached.receive(some(fragOf(pool).lend(borrower)))
}

test('a frag that a waiter releases while its loan makes room is not lent', async () => {
  const pool = createPool(sharedProvider({ pages: 2, pageSize }))
  const borrowed = lent(pool)
  const frag = fragOf(pool)
  pool.notify(() => frag.release())
  borrowed.release()
  assertCode('NETMEM_FRAG_RELEASED', () => frag.lend(borrower))
  assert.equal(pool.out, 0)
  await end(pool)
})

test('a waiter is called although an earlier one destroys the pool while it is added', async () => {
  const pool = createPool(sharedProvider({ pages: 1, pageSize }))
  const borrowed = lent(pool)
  let page: Page | undefined
  pool.notify(() => {
    page = pool.alloc()
    void pool.destroy()
  })
  borrowed.release()
  await pool.whenAvailable()
  assert.equal(pool.available, 0)
  pool.put(some(page))
  await end(pool)
})

test('a reservation that ends after destroy() leaves nothing to reserve', async () => {
  const pool = createPool(hostProvider({ pages: 4, pageSize }))
  const reservation = some(pool.reserve(100))
  const done = pool.destroy()
  const page = reservation.commit(60)
  assertCode('NETMEM_POOL_DESTROYED', () => pool.reserve(100))
  pool.put(page)
  await done
  await end(pool)
})
