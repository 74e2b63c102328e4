// Things that threads leave behind when they end.
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { lendingPool, startBorrower, writtenFrag } from '../testing/lending.test.helper.ts'
import { assertCode, end, some } from '../testing/pools.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { attachPool } from './attached-pool.ts'

test('what was reclaimed from a thread that ended cannot be given back by it', async () => {
  const { pool, share } = lendingPool(1)
  const thread = new EventEmitter()
  const late = attachPool(share).receive(some(some(writtenFrag(pool, 1)).lend(thread)))
  thread.emit('exit')
  const next = some(some(writtenFrag(pool, 2)).lend(new EventEmitter()))
  assertCode('NETMEM_STALE_HANDLE', () => late.release())
  assert.equal(pool.available, 0)
  attachPool(share).receive(next).release()
  assert.equal(pool.available, 1)
  await end(pool)
})

test('a thread that ends at any step of giving back takes nothing with it', async () => {
  const { pool, share } = lendingPool(4, 4)
  const attached = attachPool(share)
  const words = new Int32Array(share.table)
  for (let round = 0; round < 3; round++) {
    const thread = new EventEmitter()
    const lent = [1, 2, 3, 4].map((word) => some(some(writtenFrag(pool, word)).lend(thread)))
    const [, received, halfway, returned] = lent
    attached.receive(some(received))
    attached.receive(some(returned)).release()
    // Marked as returned, and not yet on the list of what is.
    assert.ok(halfway?.kind === 'page')
    const state = 16 + 2 * halfway.entry
    assert.equal(words[state], halfway.stamp, 'this is where the state of an entry is')
    words[state] = -(2 ** 31)
    thread.emit('exit')
    assert.equal(pool.out, 0)
    assert.equal(pool.stats().recycle.released_refcnt, 3 * (round + 1))
    assert.equal(pool.stats().recycle.ring, round + 1)
    for (const one of lent) assertCode('NETMEM_STALE_HANDLE', () => attached.receive(one))
  }
  await end(pool)
})

/** Waits for a worker's end, and for those who listen to it. */
async function ended(worker: Worker): Promise<void> {
  await worker.terminate()
  await turns()
}

test('a thread that has ended already gives back at once what it is lent', async () => {
  const { pool, share } = lendingPool(2)
  for (const isKnown of [false, true]) {
    const worker = startBorrower(share, 'hold')
    await once(worker, 'online')
    if (isKnown) some(some(writtenFrag(pool, 1)).lend(worker))
    await ended(worker)
    assert.equal(pool.available, 2)
    const before = pool.stats().recycle.released_refcnt
    some(some(writtenFrag(pool, 2)).lend(worker))
    await pool.whenAvailable()
    await turns()
    assert.equal(pool.available, 2)
    assert.equal(pool.stats().recycle.released_refcnt, before + 1)
  }
  await end(pool)
})

test('a thread that ended before it could notify does not silence the others', async () => {
  const { pool, share } = lendingPool(2)
  // Waiting for other threads keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  const attached = attachPool(share)
  const [first, second] = [1, 2].map((word) => {
    const lent = some(some(writtenFrag(pool, word)).lend({ once: () => undefined }))
    return attached.receive(lent)
  })
  assert.equal(pool.alloc(), undefined)
  const woken = pool.whenAvailable()
  const { notify } = Atomics
  Atomics.notify = () => 0
  first?.release()
  Atomics.notify = notify
  assert.equal(pool.available, 1, 'the owner happens to look')
  await woken
  const page = some(pool.alloc())
  const wokenAgain = pool.whenAvailable()
  second?.release()
  await wokenAgain
  pool.put(page)
  clearInterval(alive)
  await end(pool)
})
