import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as round } from 'node:timers/promises'
import { createPool } from '../../pool/create-pool.ts'
import { copiedFrag, fragOf } from '../../pool/frag.ts'
import { FragAccount } from '../../pool/frag-account.ts'
import { hostProvider } from '../../providers/host.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { endAll, until } from '../harness.test.helper.ts'
import { type PageConsumer, PageSupply } from './page-supply.ts'

const pageSize = 65_536
const room = 16_384

/** A taker that notes when it is called. */
class Noting implements PageConsumer {
  readonly referenced = false
  readonly account = new FragAccount()
  woken = 0
  readonly wake = (): void => {
    this.woken++
  }
}

function setUp(pages: number) {
  const pool = createPool(hostProvider({ pages, pageSize }))
  const supply = PageSupply.of(pool)
  return { pool, supply }
}

test('one supply for each pool', async () => {
  const { pool, supply } = setUp(1)
  assert.equal(PageSupply.of(pool), supply)
  await endAll(pool)
})

test('connections that wait are woken in turn, and no other comes in between', async () => {
  const { pool, supply } = setUp(1)
  const [first, second, stranger] = [new Noting(), new Noting(), new Noting()]
  let filling = some(supply.take(first, room))
  assert.equal(supply.take(first, room), undefined)
  assert.equal(supply.take(second, room), undefined)
  for (let turn = 1; turn < 20; turn++) {
    filling.cancel()
    const [due, other] = turn % 2 === 1 ? [first, second] : [second, first]
    if (due.woken < Math.ceil(turn / 2)) await round()
    assert.equal(due.woken, Math.ceil(turn / 2))
    assert.equal(other.woken, Math.floor(turn / 2))
    // The woken connection is not there yet, but the page is not free for others either.
    assert.equal(supply.reserve(room), undefined)
    if (turn === 1) assert.equal(supply.take(stranger, room), undefined)
    filling = some(supply.take(due, room))
    assert.equal(supply.take(due, room), undefined)
    if (turn === 1) supply.leaveQueue(stranger)
  }
  filling.cancel()
  supply.leaveQueue(first)
  supply.leaveQueue(second)
  await endAll(pool)
})

test('who holds more than its share is woken after those that do not', async () => {
  const { pool, supply } = setUp(1)
  const [greedy, modest] = [new Noting(), new Noting()]
  greedy.account.charge(2 * pool.capacity * pageSize)
  let filling = some(supply.take(new Noting(), room))
  for (const taker of [greedy, modest]) assert.equal(supply.take(taker, room), undefined)
  filling.cancel()
  assert.deepEqual([greedy.woken, modest.woken], [0, 1])
  filling = some(supply.take(modest, room))
  filling.cancel()
  await until(() => greedy.woken === 1, 'then it is woken, too')
  some(supply.take(greedy, room)).cancel()
  await endAll(pool)
})

test('who may not copy is told when copies have been released, one for each that fits', async () => {
  const { pool, supply } = setUp(1)
  const takers = [new Noting(), new Noting(), new Noting()]
  const copies = Array.from({ length: 3 }, () => copiedFrag(pool, new Uint8Array(room)))
  const filling = some(supply.reserve(room))
  for (const taker of takers) {
    assert.equal(supply.mayRead(taker), true, 'it holds nothing')
    taker.account.charge(1)
    assert.equal(supply.mayRead(taker), false)
  }
  copies.pop()?.release()
  assert.deepEqual(
    takers.map(({ woken }) => woken),
    [1, 0, 0],
  )
  for (const copy of copies) copy.release()
  assert.deepEqual(
    takers.map(({ woken }) => woken),
    [1, 1, 1],
  )
  filling.cancel()
  await endAll(pool)
})

test('who is woken and has nothing to read leaves its page to the next', async () => {
  const { pool, supply } = setUp(1)
  const takers = Array.from({ length: 5 }, () => new Noting())
  const filling = some(supply.take(new Noting(), room))
  for (const taker of takers) assert.equal(supply.take(taker, room), undefined)
  filling.cancel()
  await until(() => takers.every(({ woken }) => woken === 1), 'all are woken')
  some(supply.take(some(takers[4]), room)).cancel()
  await round()
  await round()
  some(supply.reserve(room)).cancel()
  await endAll(pool)
})

test('a connection that leaves is not woken, and holds up no other', async () => {
  const { pool, supply } = setUp(1)
  const [first, second] = [new Noting(), new Noting()]
  const filling = some(supply.take(new Noting(), room))
  supply.take(first, room)
  supply.take(second, room)
  supply.leaveQueue(first)
  filling.cancel()
  assert.equal(first.woken, 0)
  assert.equal(second.woken, 1)
  // A woken connection that leaves gives its turn up.
  supply.leaveQueue(second)
  some(supply.reserve(room)).cancel()
  await endAll(pool)
})

test('all are woken when the pool is destroyed', async () => {
  const { pool, supply } = setUp(1)
  const takers = Array.from({ length: 5 }, () => new Noting())
  const filling = some(supply.take(new Noting(), room))
  for (const taker of takers) assert.equal(supply.take(taker, room), undefined)
  const destroyed = pool.destroy()
  assert.deepEqual(
    takers.map(({ woken }) => woken),
    [1, 1, 1, 1, 1],
  )
  // A consumer that comes later is woken, too.
  const late = new Noting()
  assert.equal(supply.take(late, room), undefined)
  await until(() => late.woken === 1, 'it is woken')
  filling.cancel()
  await destroyed
  assert.equal(pool.inflight, 0)
})

test('the rest of a page goes to the next read that fits, while frags hold the page', async () => {
  const { pool, supply } = setUp(2)
  const frag = fragOf(some(supply.reserve(room)).commit(40_000), 0, 40_000)
  // Too large for the rest, which stays there for others.
  const other = some(supply.reserve(30_000))
  assert.equal(other.offset, 0)
  other.cancel()
  const rest = some(supply.reserve(room))
  // Rounded up, for the kernel copies faster to where a line of the cache begins.
  assert.equal(rest.offset, 40_064)
  assert.equal(pool.out, 1)
  const second = fragOf(rest.commit(room), 40_064, room)
  frag.release()
  const last = some(supply.reserve(9088))
  assert.equal(last.offset, 56_448)
  last.cancel()
  second.release()
  assert.equal(pool.out, 0)
  await endAll(pool)
})

test('the rest of a page is there for connections also while others wait for a page', async () => {
  const { pool, supply } = setUp(1)
  const frag = fragOf(some(supply.reserve(room)).commit(40_000), 0, 40_000)
  const waiting = new Noting()
  assert.equal(supply.take(waiting, 60_000), undefined)
  some(supply.take(new Noting(), room)).cancel()
  supply.leaveQueue(waiting)
  frag.release()
  await endAll(pool)
})

test('a consumer that may read again is not woken for copies, nor after it has left', async () => {
  const { pool, supply } = setUp(1)
  const [reads, left] = [new Noting(), new Noting()]
  const copies = Array.from({ length: 3 }, () => copiedFrag(pool, new Uint8Array(room)))
  const filling = some(supply.reserve(room))
  for (const consumer of [reads, left]) {
    consumer.account.charge(1)
    assert.equal(supply.mayRead(consumer), false)
    consumer.account.credit(1)
    assert.equal(consumer.woken, 1, 'a release of its own wakes it')
  }
  assert.equal(supply.mayRead(reads), true, 'it holds nothing')
  supply.leaveQueue(left)
  for (const copy of copies) copy.release()
  reads.account.charge(1)
  reads.account.credit(1)
  assert.deepEqual([reads.woken, left.woken], [1, 1])
  supply.leaveQueue(reads)
  filling.cancel()
  await endAll(pool)
})
