// Frags lent to other threads, one question at a time.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { ErrorCode } from '../errors.ts'
import { retain } from '../netmem.ts'
import { externalProvider } from '../providers/external.ts'
import { hostProvider } from '../providers/host.ts'
import { sharedProvider } from '../providers/shared.ts'
import {
  deliver,
  lendingPool,
  startBorrower,
  until,
  writtenFrag,
} from '../testing/lending.test.helper.ts'
import { assertCode, end, some, take } from '../testing/pools.test.helper.ts'
import { attachPool } from './attached-pool.ts'
import { createFrag } from './create-frag.ts'
import { createPool } from './create-pool.ts'
import type { Borrower, Lent } from './lent.ts'

/** A borrower in this thread that never ends. */
const borrower: Borrower = { once: () => undefined }

test('a lent frag is read elsewhere, given back, and counted as through the ring', async () => {
  const { pool, share } = lendingPool(2)
  const worker = startBorrower(share, 'release')
  const frag = some(writtenFrag(pool, 77))
  const lent = some(frag.lend(worker))
  assertCode('NETMEM_FRAG_RELEASED', () => frag.bytes)
  assertCode('NETMEM_FRAG_RELEASED', () => frag.lend(worker))
  frag.release()
  assert.equal(pool.out, 1)
  const receipt = await deliver(worker, { lent: [lent], word: 77 })
  assert.deepEqual(receipt, { received: 1, holds: 0, errors: [] })
  assert.equal(pool.available, 2)
  assert.equal(pool.stats().recycle.ring, 1)
  await worker.terminate()
  await end(pool)
})

test('a part of a page is lent as that part, from memory that begins anywhere', async () => {
  const memory = new Uint8Array(new SharedArrayBuffer(300_000), 1000)
  const pool = createPool(externalProvider(memory, { pageSize: 65_536 }))
  const worker = startBorrower(pool.share(), 'release')
  for (let word = 1; word <= 4; word++) {
    const whole = some(writtenFrag(pool, word))
    const half = whole.slice(32_768)
    const lent = some(half.lend(worker))
    whole.release()
    assert.ok(lent.kind === 'page' && lent.length === 32_768)
    const { errors } = await deliver(worker, { lent: [lent], word })
    assert.deepEqual(errors, [])
  }
  assert.equal(pool.available, pool.capacity)
  await worker.terminate()
  await end(pool)
})

test('a frag that was copied is lent as a copy', async () => {
  const { pool, share } = lendingPool(1)
  const worker = startBorrower(share, 'hold')
  const whole = some(writtenFrag(pool, 5))
  const copy = whole.slice(32_768 - 4, 32_768)
  assert.equal(pool.stats().copied.bytes_out, 4)
  const lent = some(copy.lend(worker))
  assert.equal(lent.kind, 'copy')
  assert.equal(pool.stats().copied.bytes_out, 0)
  whole.release()
  assert.deepEqual((await deliver(worker, { lent: [lent], word: 5 })).errors, [])
  // The worker holds nothing of the pool.
  assert.equal(pool.available, 1)
  await worker.terminate()
  await end(pool)
})

test('copy() of what was lent is memory that no other thread has', async () => {
  const { pool, share } = lendingPool(1)
  const attached = attachPool(share)
  const whole = some(writtenFrag(pool, 77))
  const part = whole.slice(0, 8)
  for (const frag of [whole, part]) {
    const expected = Buffer.from(frag.bytes)
    const received = attached.receive(some(frag.lend(borrower)))
    const copy = received.copy()
    assert.ok(copy.buffer instanceof ArrayBuffer)
    assert.equal(copy.buffer.byteLength, expected.length)
    assert.ok(expected.equals(copy))
    received.release()
    assertCode('NETMEM_FRAG_RELEASED', () => received.copy())
  }
  assert.equal(pool.available, 1)
  await end(pool)
})

test('a pool that is not shared lends nothing, not even copies', async () => {
  const host = createPool(hostProvider({ pages: 1, pageSize: 65_536 }))
  assertCode('NETMEM_NOT_SHARED', () => host.share())
  const hostFrag = some(writtenFrag(host, 1))
  const copy = hostFrag.slice(0, 100)
  for (const frag of [hostFrag, copy]) {
    assertCode('NETMEM_NOT_SHARED', () => frag.lend(borrower))
    assert.ok(frag.bytes.length > 0)
    frag.release()
  }
  await end(host)
})

test('what is no thread borrows nothing, and what is no share or loan is refused', async () => {
  const { pool, share } = lendingPool(1, 1)
  const frag = some(writtenFrag(pool, 1))
  for (const bad of [undefined, {}, 5]) {
    assertCode('NETMEM_INVALID_ARGUMENT', () => frag.lend(bad as unknown as Borrower))
  }
  const attachAny = attachPool as (share?: unknown) => unknown
  for (const bad of [undefined, null, {}, { ...share, table: 1 }, new SharedArrayBuffer(8)]) {
    assertCode('NETMEM_INVALID_ARGUMENT', () => attachAny(bad))
  }
  for (const bad of [undefined, null, 5, {}, structuredClone({ ...frag })]) {
    const lent = bad as unknown as Lent
    assertCode('NETMEM_INVALID_ARGUMENT', () => attachPool(share).receive(lent))
  }
  for (const lends of [0, -1, 1.5, 2 ** 20 + 1]) {
    const other = lendingPool(1, 1).pool
    assert.equal(other.share({ lends }), other.share())
    const fresh = createPool(externalProvider(new SharedArrayBuffer(65_536), { pageSize: 65_536 }))
    assertCode('NETMEM_OUT_OF_RANGE', () => fresh.share({ lends }))
    await end(fresh, other)
  }
  // The only entry is still free.
  const lent = some(frag.lend(borrower))
  attachPool(share).receive(lent).release()
  const { out, inflight } = pool.stats()
  assert.deepEqual([out, inflight], [0, 1])
  assert.equal(pool.available, 1)
  await end(pool)
})

test('as many are lent as the pool was shared for', async () => {
  const { pool, share } = lendingPool(8, 3)
  const attached = attachPool(share)
  const frags = Array.from({ length: 5 }, (_, word) => some(writtenFrag(pool, word)))
  const lents = frags.slice(0, 3).map((frag) => some(frag.lend(borrower)))
  const rest = frags.slice(3)
  for (const frag of rest) assert.equal(frag.lend(borrower), undefined)
  // Refused frags are held as before.
  for (const frag of rest) assert.equal(frag.bytes.length, pool.pageSize)
  assert.equal(pool.out, 5)
  const received = lents.map((lent) => attached.receive(lent))
  assert.equal(some(rest[0]).lend(borrower), undefined)
  some(received[1]).release()
  const again = some(some(rest[0]).lend(borrower))
  assert.equal(some(rest[1]).lend(borrower), undefined)
  for (const frag of [received[0], received[2], attached.receive(again)]) some(frag).release()
  some(rest[1]).release()
  assert.equal(pool.available, 8)
  await end(pool)
})

test('all that sockets make of the pages can be lent, where nothing else is said', async () => {
  for (const [pageSize, most] of [
    [262_144, 32],
    [4096, 4],
  ] as const) {
    const pool = createPool(sharedProvider({ pages: 1, pageSize }))
    const attached = attachPool(pool.share())
    const page = some(pool.alloc())
    retain(page, most)
    const frags = Array.from({ length: most + 1 }, () => createFrag(pool, page, 0, 100))
    const lents = frags.splice(0, most).map((frag) => some(frag.lend(borrower)))
    assert.equal(some(frags[0]).lend(borrower), undefined)
    for (const frag of [...frags, ...lents.map((lent) => attached.receive(lent))]) frag.release()
    assert.equal(pool.available, 1)
    await end(pool)
  }
})

test('a loan with forged numbers is refused before anything is touched', async () => {
  const { pool, share } = lendingPool(1)
  const attached = attachPool(share)
  const lent = some(some(writtenFrag(pool, 1)).lend(borrower))
  assert.equal(lent.kind, 'page')
  const forged: readonly [object, ErrorCode][] = [
    [{ entry: -8 }, 'NETMEM_OUT_OF_RANGE'],
    [{ entry: 0.5 }, 'NETMEM_OUT_OF_RANGE'],
    [{ entry: 2 ** 30 }, 'NETMEM_OUT_OF_RANGE'],
    [{ stamp: 0 }, 'NETMEM_OUT_OF_RANGE'],
    [{ stamp: 2 ** 31 }, 'NETMEM_OUT_OF_RANGE'],
    [{ stamp: '1' }, 'NETMEM_INVALID_ARGUMENT'],
    [{ stamp: 12_345 }, 'NETMEM_STALE_HANDLE'],
    [{ offset: -1 }, 'NETMEM_OUT_OF_RANGE'],
    [{ offset: 1e9 }, 'NETMEM_OUT_OF_RANGE'],
    [{ length: share.buffer.byteLength + 1 }, 'NETMEM_OUT_OF_RANGE'],
  ]
  for (const [numbers, code] of forged) {
    assertCode(code, () => attached.receive({ ...lent, ...numbers }))
  }
  attached.receive(lent).release()
  assert.equal(pool.available, 1)
  await end(pool)
})

test('a lent frag is received once, and not after it was given back', async () => {
  const { pool, share } = lendingPool(1)
  const [here, there] = [attachPool(share), attachPool(share)]
  const lent = some(some(writtenFrag(pool, 1)).lend(borrower))
  const frag = here.receive(lent)
  assertCode('NETMEM_STALE_HANDLE', () => here.receive(lent))
  assertCode('NETMEM_STALE_HANDLE', () => there.receive(lent))
  frag.release()
  frag[Symbol.dispose]()
  assertCode('NETMEM_FRAG_RELEASED', () => frag.bytes)
  assertCode('NETMEM_STALE_HANDLE', () => there.receive(lent))
  assert.equal(pool.available, 1)
  // The same entry again, under another stamp.
  const next = some(some(writtenFrag(pool, 2)).lend(borrower))
  assertCode('NETMEM_STALE_HANDLE', () => there.receive(lent))
  there.receive(next).release()
  assert.equal(pool.available, 1)
  await end(pool)
})

test('of two threads that receive the same frag one gets it', async () => {
  const { pool, share } = lendingPool(4)
  const workers = [startBorrower(share, 'release'), startBorrower(share, 'release')]
  for (let round = 0; round < 300; round++) {
    const lent: Lent[] = []
    for (let n = 0; n < 4; n++) lent.push(some(some(writtenFrag(pool, round)).lend(borrower)))
    const receipts = await Promise.all(
      workers.map((worker, index) =>
        deliver(worker, { lent: index === 0 ? lent : lent.toReversed(), word: round }),
      ),
    )
    const errors = receipts.flatMap((receipt) => receipt.errors)
    assert.deepEqual(errors, Array(4).fill('NETMEM_STALE_HANDLE'))
    assert.equal(pool.available, 4)
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
  await end(pool)
})

test('a dry owner is woken by what comes back', async () => {
  const { pool, share } = lendingPool(1)
  const worker = startBorrower(share, 'release')
  await once(worker, 'online')
  for (let round = 0; round < 50; round++) {
    const lent = some(some(writtenFrag(pool, round)).lend(worker))
    const woken = pool.whenAvailable()
    const [receipt] = await Promise.all([deliver(worker, { lent: [lent], word: round }), woken])
    assert.deepEqual(receipt.errors, [])
    assert.equal(pool.out, 0)
  }
  await worker.terminate()
  await end(pool)
})

for (const aCallerWaits of [true, false]) {
  const what = aCallerWaits ? 'though a caller waited for memory' : 'and no other caller does'
  test(`destroy waits for every lent frag, ${what}`, async () => {
    const { pool, share } = lendingPool(3)
    const worker = startBorrower(share, 'hold')
    const lent = [1, 1, 1].map((word) => some(some(writtenFrag(pool, word)).lend(worker)))
    const woken = aCallerWaits ? pool.whenAvailable() : undefined
    let done = false
    const destroyed = pool.destroy().then(() => {
      done = true
    })
    await woken
    assert.deepEqual((await deliver(worker, { lent, word: 1 })).errors, [])
    for (let held = 3; held > 0; held--) {
      assert.equal(done, false)
      assert.equal(pool.out, held)
      const { holds } = await deliver(worker, { lent: [], word: 0, releaseFirst: 1 })
      assert.equal(holds, held - 1)
      await until(() => pool.out === held - 1)
    }
    await destroyed
    await worker.terminate()
    await end(pool)
  })
}

test('a waiter that is woken in the middle of an alloc may put as much as it has', async () => {
  for (const keepsOne of [true, false]) {
    const { pool, share } = lendingPool(200)
    const lent = some(some(writtenFrag(pool, 1)).lend(borrower))
    const pages = take(199, pool)
    pool.notify(() => {
      // The ring is empty again if the callback takes one page.
      if (keepsOne) pages.push(some(pool.alloc()))
      for (const page of pages.splice(0, 100)) pool.put(page)
    })
    attachPool(share).receive(lent).release()
    pages.push(some(pool.alloc()))
    pages.push(...take(pool.available, pool))
    assert.equal(pool.alloc(), undefined)
    assert.equal(new Set(pages).size, 200)
    const { alloc } = pool.stats()
    assert.equal(alloc.fast + alloc.refill + alloc.slow, 200 + 100 + 1)
    for (const page of pages) pool.put(page)
    await end(pool)
  }
})

test('destroy takes in what has come back, and ends once', async () => {
  const { pool, share } = lendingPool(2)
  const attached = attachPool(share)
  for (let word = 0; word < 2; word++) {
    attached.receive(some(some(writtenFrag(pool, word)).lend(borrower))).release()
  }
  assert.equal(pool.inflight, 2)
  await pool.destroy()
  assert.deepEqual([pool.inflight, pool.out], [0, 0])
})

test('a page that is given back under a lent frag harms no other', async () => {
  const { pool, share } = lendingPool(3)
  const attached = attachPool(share)
  const page = some(pool.alloc())
  const wrong = some(createFrag(pool, page).lend(borrower))
  const right = [1, 2].map((word) => some(some(writtenFrag(pool, word)).lend(borrower)))
  // The frag owned that reference.
  pool.put(page)
  for (const lent of [some(right[0]), wrong, some(right[1])]) attached.receive(lent).release()
  assertCode('NETMEM_DOUBLE_PUT', () => pool.available)
  assert.equal(pool.available, 3)
  await end(pool)
})
