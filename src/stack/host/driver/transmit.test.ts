import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from '../../../netmem.ts'
import { createPool } from '../../../pool/create-pool.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { sharedProvider } from '../../../providers/shared.ts'
import { assertCode, end, some } from '../../../testing/pools.test.helper.ts'
import { turns, until } from '../../../testing/waiting.test.helper.ts'
import { HandNic } from '../../testing/hand-nic.ts'
import type { Skb, SkbCache } from '../skb/skb.ts'
import { createPageSkbCache } from '../skb/skb-cache.ts'
import { openPageDriver, type PageDriver, type PageDriverOptions } from './page-driver.ts'

const PAGE = 4096
const HEAD = Uint8Array.from({ length: 54 }, (_, at) => at)

class Bench {
  readonly nic = new HandNic()
  readonly pool: PagePool<Page> = createPool(sharedProvider({ pages: 64, pageSize: PAGE }))
  readonly headerPool: PagePool<Page>
  readonly cache: SkbCache<Page> = createPageSkbCache(this.pool, 256)
  #driver: PageDriver | undefined

  constructor(headerPages = 8) {
    this.headerPool = createPool(sharedProvider({ pages: headerPages, pageSize: PAGE }))
  }

  static async open(options: Partial<PageDriverOptions> = {}, headerPages = 8): Promise<Bench> {
    const bench = new Bench(headerPages)
    const { pool, headerPool } = bench
    const deliver = (skb: Skb<Page>): void => skb.free()
    const all = { pools: [pool], headerPool, ringSize: 8, txRingSize: 32, deliver, ...options }
    bench.#driver = await openPageDriver(bench.nic, all)
    return bench
  }

  get driver(): PageDriver {
    return some(this.#driver)
  }

  /** An skb with so many frags, each of `seed`. */
  skb(frags: number, seed = 0, head: Uint8Array = HEAD): Skb<Page> {
    const skb = this.cache.take()
    skb.head.set(head.subarray(0, skb.head.length))
    skb.headLength = head.length
    for (let at = 0; at < frags; at++) {
      const page = some(this.pool.alloc())
      this.pool.bytes(page).fill(seed + at, 100 + at, 200)
      skb.addFrag(page, 100 + at, 100 - at)
    }
    return skb
  }

  async close(): Promise<void> {
    await this.driver.close()
    await end(this.pool, this.headerPool)
  }
}

test('linear bytes and frags go out in order; memory comes back when they are sent, not before', async () => {
  const bench = await Bench.open()
  const posted = bench.pool.out
  assert.ok(bench.driver.transmit(bench.skb(3, 10)))
  assert.ok(bench.driver.transmit(bench.skb(0)))
  bench.driver.poll()
  assert.equal(bench.pool.out, posted + 3)
  const [first, second, ...rest] = bench.nic.send(0)
  assert.equal(rest.length, 0)
  const frags = [10, 11, 12].map((seed, at) => new Uint8Array(100 - at).fill(seed))
  assert.deepEqual(Buffer.concat([HEAD, ...frags]), Buffer.from(first ?? []))
  assert.deepEqual(second, HEAD)
  assert.equal(bench.pool.out, posted + 3)
  bench.driver.poll()
  assert.equal(bench.pool.out, posted)
  await bench.close()
})

test('a full ring takes no more, and the skb stays the caller’s, until something was sent', async () => {
  const bench = await Bench.open()
  const sent: number[] = []
  for (let round = 0; round < 20; round++) {
    // Pieces: five of each, and 32 places.
    for (let count = 0; count < 6; count++) assert.ok(bench.driver.transmit(bench.skb(4)))
    const skb = bench.skb(4)
    assert.equal(bench.driver.transmit(skb), false)
    assert.equal(skb.freed, false)
    sent.push(bench.nic.send(0, 1).length)
    assert.ok(bench.driver.transmit(skb), 'it reaps where it has to')
    sent.push(bench.nic.send(0).length)
    bench.driver.poll()
  }
  assert.deepEqual(new Set(sent), new Set([1, 6]))
  await bench.close()
})

test('a dry header pool takes no more until something was sent', async () => {
  const bench = await Bench.open({ txRingSize: 256 }, 2)
  let taken = 0
  for (let skb = bench.skb(0); ; skb = bench.skb(0)) {
    if (bench.driver.transmit(skb)) taken++
    else {
      skb.free()
      break
    }
  }
  assert.equal(taken, PAGE / 256)
  assert.equal(bench.nic.send(0).length, taken)
  assert.ok(bench.driver.transmit(bench.skb(0)))
  await bench.close()
})

test('what was not sent comes back when the driver is closed, which sends no more', async () => {
  const bench = await Bench.open()
  for (let count = 0; count < 3; count++) bench.driver.transmit(bench.skb(2))
  bench.nic.send(0, 1)
  await bench.driver.close()
  assert.equal(bench.pool.out + bench.headerPool.out, 0)
  const skb = bench.skb(1)
  assertCode('NETMEM_DEVICE_CLOSED', () => bench.driver.transmit(skb))
  skb.free()
  await bench.close()
  const never = await Bench.open()
  await never.driver.close()
  const other = never.skb(1)
  assertCode('NETMEM_DEVICE_CLOSED', () => never.driver.transmit(other))
  other.free()
  await never.close()
})

test('what cannot be sent is refused with nothing posted', async () => {
  const bench = await Bench.open({ headerBytes: 128 })
  const long = bench.skb(0, 0, new Uint8Array(129))
  assertCode('NETMEM_OUT_OF_RANGE', () => bench.driver.transmit(long))
  long.free()
  assertCode('NETMEM_SKB_FREED', () => bench.driver.transmit(long))
  const strange = new Bench()
  const foreign = strange.skb(2)
  assertCode('NETMEM_NOT_SHARED', () => bench.driver.transmit(foreign))
  foreign.free()
  await end(strange.pool, strange.headerPool)
  assert.deepEqual(bench.nic.send(0), [])
  await bench.close()
})

test('a queue that does not start gives everything back and says why', async () => {
  const bench = await Bench.open()
  const posted = bench.pool.out
  bench.nic.startTxQueue = () => Promise.reject(new Error('no such queue'))
  assert.ok(bench.driver.transmit(bench.skb(2)))
  await new Promise((resolve) => setImmediate(resolve))
  const skb = bench.skb(1)
  assert.throws(() => bench.driver.transmit(skb), /no such queue/)
  skb.free()
  assert.equal(bench.pool.out, posted)
  await bench.close()
})

test('a driver that runs finds out by itself what was sent', async () => {
  const bench = await Bench.open()
  bench.driver.run()
  const posted = bench.pool.out
  for (let round = 0; round < 3; round++) {
    // Long enough to have stopped polling and wait for an interrupt.
    await turns(500)
    bench.driver.transmit(bench.skb(2))
    await turns(500)
    assert.equal(bench.pool.out, posted + 2)
    assert.equal(bench.nic.send(0).length, 1)
    await until(() => bench.pool.out === posted, 'it has found out')
  }
  await bench.close()
})
