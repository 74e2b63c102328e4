// Many frags, several threads, and threads that end at the worst moment.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import type { Page } from '../netmem.ts'
import { Random } from '../random.ts'
import type { Receipt } from '../testing/borrower.test.worker.ts'
import { lendingPool, startBorrower, until, writtenFrag } from '../testing/lending.test.helper.ts'
import { end } from '../testing/pools.test.helper.ts'
import type { Lent } from './lent.ts'
import type { PagePool } from './page-pool.ts'

const LENDS = 120_000
const DELIVERY = 24

/** Lends up to `count` frags to `worker`, each in two halves or whole. Waits for memory where there is none. */
async function lendSome(
  pool: PagePool<Page>,
  worker: Worker,
  count: number,
  word: number,
): Promise<Lent[]> {
  const lent: Lent[] = []
  while (lent.length < count) {
    const frag = writtenFrag(pool, word)
    if (frag === undefined) {
      if (lent.length > 0) break
      await pool.whenAvailable()
      continue
    }
    const parts = lent.length % 3 === 0 ? [frag] : [frag.slice(0, 32_768), frag.slice(32_768)]
    if (parts.length > 1) frag.release()
    for (const part of parts) {
      const one = part.lend(worker)
      if (one === undefined) part.release()
      else lent.push(one)
    }
  }
  return lent
}

test(`four threads give back ${LENDS} frags of one pool`, async () => {
  const { pool, share } = lendingPool(48, 80)
  const workers = Array.from({ length: 4 }, () => startBorrower(share, 'release'))
  let received = 0
  let sent = 0
  let receipts = 0
  let deliveries = 0
  const errors: string[] = []
  for (const worker of workers) {
    worker.on('message', (receipt: Receipt) => {
      received += receipt.received
      receipts++
      errors.push(...receipt.errors)
    })
  }
  for (let word = 1; sent < LENDS; word++) {
    const worker = workers[word % 4] ?? assert.fail()
    const lent = await lendSome(pool, worker, DELIVERY, word)
    worker.postMessage({ lent, word })
    sent += lent.length
    deliveries++
    assert.deepEqual(errors, [])
    // The owner's thread does other work now and then, and takes messages.
    if (word % 8 === 0) await turn()
  }
  await until(() => receipts === deliveries)
  assert.equal(received, sent)
  assert.deepEqual(errors, [])
  assert.equal(pool.available, 48)
  assert.equal(pool.stats().recycle.released_refcnt, 0)
  assert.equal(pool.stats().recycle.ring_full, 0)
  await Promise.all(workers.map((worker) => worker.terminate()))
  await end(pool)
})

test('what a terminated thread held is reclaimed, and not recycled', async () => {
  const { pool, share } = lendingPool(10)
  for (const job of ['hold', 'forget'] as const) {
    const worker = startBorrower(share, job)
    const other = startBorrower(share, 'hold')
    const before = pool.stats().recycle.released_refcnt
    const lent = await lendSome(pool, worker, 4, 1)
    const others = await lendSome(pool, other, 4, 1)
    // Frags on their way never reach the worker.
    const onTheWay = await lendSome(pool, worker, 1, 1)
    const out = pool.out
    worker.postMessage({ lent, word: 1 })
    await once(worker, job === 'hold' ? 'message' : 'exit')
    await worker.terminate()
    await until(() => pool.out < out)
    // A page whose halves are both lent to it comes back with the second.
    const pages = new Set([...lent, ...onTheWay].map(pageOf)).size
    assert.equal(pool.stats().recycle.released_refcnt, before + pages)
    assert.equal(pool.out, new Set(others.map(pageOf)).size)
    await other.terminate()
    await until(() => pool.available === 10)
  }
  await end(pool)
})

const pageOf = (lent: Lent): number =>
  lent.kind === 'page' ? Math.floor(lent.offset / 65_536) : assert.fail()

test('threads that end in the middle of giving back take nothing with them', async () => {
  const random = new Random(Date.now())
  const { pool, share } = lendingPool(64, 200)
  const survivor = startBorrower(share, 'release')
  const errors: string[] = []
  survivor.on('message', (receipt: Receipt) => errors.push(...receipt.errors))
  for (let round = 0; round < 25; round++) {
    const worker = startBorrower(share, 'release')
    await once(worker, 'online')
    let running = true
    const exit = once(worker, 'exit').then(() => {
      running = false
    })
    let stopAfter = 5 + random.below(40)
    while (running) {
      for (const borrower of [worker, survivor]) {
        const lent = await lendSome(pool, borrower, DELIVERY, round)
        borrower.postMessage({ lent, word: round })
      }
      // Terminates at any instant of the worker's loop: neither thread waits for the other.
      if (stopAfter-- === 0) {
        for (let spin = random.below(20_000); spin > 0; spin--);
        void worker.terminate()
      }
      if (stopAfter % 2 === 0) await turn()
    }
    await exit
    await until(() => pool.available === 64)
    assert.deepEqual(errors, [])
  }
  assert.ok(pool.stats().recycle.released_refcnt > 0)
  await survivor.terminate()
  await end(pool)
})

test('as many are lent after threads have ended as before', async () => {
  const { pool, share } = lendingPool(64, 32)
  for (let round = 0; round < 5; round++) {
    const worker = startBorrower(share, 'hold')
    await once(worker, 'online')
    const lent: Lent[] = []
    for (let n = 0; n < 40; n++) {
      const frag = writtenFrag(pool, 1) ?? assert.fail()
      const one = frag.lend(worker)
      if (one === undefined) frag.release()
      else lent.push(one)
    }
    assert.equal(lent.length, 32)
    worker.postMessage({ lent, word: 1 })
    await once(worker, 'message')
    await worker.terminate()
    await until(() => pool.available === 64)
  }
  await end(pool)
})
