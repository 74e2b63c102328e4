// The end of a pool, and those who wait for memory.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type Page, release, retain } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { testDeviceProvider } from '../testing/index.ts'
import { assertCode, codeOf, end, logged, some, take } from '../testing/pools.test.helper.ts'
import { createFrag } from './create-frag.ts'
import { createPool, dualPool } from './create-pool.ts'
import type { PagePool } from './page-pool.ts'

const pageSize = 4096
const poolOf = (pages: number): PagePool<Page> => createPool(hostProvider({ pages, pageSize }))

/** True if a promise has been resolved by the next round of the event loop. */
async function settled(promise: Promise<void>): Promise<boolean> {
  let done = false
  void promise.then(() => {
    done = true
  })
  await turn()
  return done
}

test('`await using` destroys a pool, and waits for its memory', async () => {
  let page: Page | undefined
  const scope = async (): Promise<PagePool<Page>> => {
    await using pool = poolOf(1)
    page = pool.alloc()
    return pool
  }
  const left = scope()
  assert.equal(await settled(left.then(() => undefined)), false)
  release(some(page))
  const pool = await left
  assert.deepEqual([pool.destroyed, pool.inflight], [true, 0])
})

test('a pool with nothing out is destroyed at once, and its provider serves the next', async () => {
  const provider = hostProvider({ pages: 200, pageSize })
  const { log, ...operations } = logged<Page>(provider)
  const watched = { ...provider, ...operations }
  for (let pools = 1; pools <= 3; pools++) {
    const pool = createPool(watched)
    for (const [index, page] of take(200, pool).entries()) pool.put(page, index % 2 === 0)
    assert.equal(pool.destroyed, false)
    const done = pool.destroy()
    assert.equal(log.destroys, pools)
    assert.equal(pool.destroyed, true)
    assert.deepEqual([pool.out, pool.inflight, pool.available], [0, 0, 0])
    assert.equal(log.given.length, 200 * pools)
    assert.deepEqual(log.released.toSorted(), log.given.toSorted())
    await done
  }
  await end(createPool(provider))
})

test('destroy waits for memory that is out, for each way in which it comes back', async () => {
  const provider = hostProvider({ pages: 100, pageSize })
  const pool = createPool(provider)
  const [a, b, c, d] = take(4, pool)
  retain(some(d))
  const done = pool.destroy()
  assert.equal(pool.destroy(), done)
  // Cache and ring are emptied at once. Only what is out is in flight.
  assert.deepEqual([pool.out, pool.inflight], [4, 4])
  assertCode('NETMEM_POOL_DESTROYED', () => pool.alloc())
  assertCode('NETMEM_PROVIDER_BUSY', () => createPool(provider))
  // Pages that are out can be used until they are put.
  pool.bytes(some(a)).fill(1)
  pool.put(some(a))
  pool.put(some(b), false)
  pool.put(some(d))
  pool.put(some(d), false)
  assert.deepEqual([pool.out, pool.inflight], [1, 1])
  assert.equal(await settled(done), false)
  assertCode('NETMEM_DOUBLE_PUT', () => pool.put(some(a)))
  pool.put(some(c))
  assert.equal(await settled(done), true)
  assertCode('NETMEM_DOUBLE_PUT', () => pool.put(some(c)))
  assertCode('NETMEM_POOL_DESTROYED', () => pool.alloc())
  await end(pool, createPool(provider))
})

test('destroy waits for net_iovs as for pages', async () => {
  const pool = dualPool(testDeviceProvider({ netIovs: 3 }))
  const iovs = take(3, pool)
  const done = pool.destroy()
  for (const iov of iovs) {
    assert.equal(await settled(done), false)
    pool.put(iov)
  }
  assert.equal(await settled(done), true)
  await end(pool)
})

test('those who wait are called once, in their order, when memory comes back', async () => {
  for (const allowDirect of [true, false]) {
    const pool = poolOf(1)
    const page = some(pool.alloc())
    const called: number[] = []
    for (let n = 0; n < 3; n++) pool.notify(() => called.push(n))
    await turn()
    assert.deepEqual(called, [])
    pool.put(page, allowDirect)
    assert.deepEqual(called, [0, 1, 2])
    pool.put(some(pool.alloc()))
    assert.deepEqual(called, [0, 1, 2])
    await end(pool)
  }
})

test('where there is memory already, the callback comes at the end of the job', async () => {
  const pool = poolOf(1)
  const called: number[] = []
  pool.notify(() => called.push(1))
  pool.notify(() => called.push(2))
  assert.deepEqual(called, [])
  await Promise.resolve()
  assert.deepEqual(called, [1, 2])
  await pool.whenAvailable()
  await end(pool)
})

test('a waiter that finds nothing waits again, behind those that waited longer', async () => {
  const pool = poolOf(1)
  let page = some(pool.alloc())
  const got: string[] = []
  const wait = (name: string): void => {
    pool.notify(() => {
      const mine = pool.alloc()
      if (mine === undefined) return wait(name)
      page = mine
      got.push(name)
    })
  }
  for (const name of ['a', 'b', 'c']) wait(name)
  for (let puts = 0; puts < 3; puts++) pool.put(page)
  assert.deepEqual(got, ['a', 'b', 'c'])
  pool.put(page)
  await end(pool)
})

test('after a wait the pool is as fast as before', async () => {
  const pool = poolOf(2)
  const pages = take(2, pool)
  const woken = pool.whenAvailable()
  for (const page of pages) pool.put(page)
  await woken
  assert.equal(pool.stats().recycle.cached, 2)
  pool.put(some(pool.alloc()))
  assert.equal(pool.stats().recycle.cached, 3)
  await end(pool)
})

test('destroy wakes those who wait, though nothing came back', async () => {
  const pool = poolOf(1)
  const page = some(pool.alloc())
  const called: string[] = []
  pool.notify(() => called.push('first'))
  const woken = pool.whenAvailable()
  const done = pool.destroy()
  assert.deepEqual(called, ['first'])
  await woken
  pool.notify(() => called.push('late'))
  await pool.whenAvailable()
  assert.deepEqual(called, ['first', 'late'])
  assertCode('NETMEM_POOL_DESTROYED', () => pool.alloc())
  pool.put(page)
  await done
  await end(pool)
})

test('a callback may put the last page while the pool is being destroyed', async () => {
  const provider = hostProvider({ pages: 1, pageSize })
  const { log, ...operations } = logged<Page>(provider)
  const watched = { ...provider, ...operations }
  const pool = createPool(watched)
  const page = some(pool.alloc())
  let next: PagePool<Page> | undefined
  pool.notify(() => {
    pool.put(page)
    // The provider is free for another pool: this one must not touch it any more.
    next = createPool(watched)
  })
  await pool.destroy()
  assert.equal(log.destroys, 1)
  const other = some(next)
  other.put(some(other.alloc()))
  await end(pool, other)
  assert.equal(log.destroys, 2)
})

test('a callback may alloc, put, wait and destroy while it is called', async () => {
  const pool = poolOf(2)
  const pages = take(2, pool)
  const log: string[] = []
  pool.notify(() => {
    const page = some(pool.alloc())
    pool.put(page, false)
    pool.notify(() => log.push('nested'))
    log.push('first')
  })
  pool.notify(() => {
    log.push('second')
    void pool.destroy()
  })
  pool.notify(() => {
    log.push(codeOf(() => pool.alloc()))
    pool.notify(() => log.push('after the end'))
  })
  pool.put(some(pages[0]))
  assert.deepEqual(log.slice(0, 3), ['first', 'second', 'NETMEM_POOL_DESTROYED'])
  pool.put(some(pages[1]))
  await end(pool)
  assert.deepEqual(log.slice(3).toSorted(), ['after the end', 'nested'])
})

test('a callback that throws keeps neither the others nor the put', async () => {
  const pool = poolOf(1)
  const page = some(pool.alloc())
  const called: string[] = []
  // The test runner has listeners of its own for uncaught errors.
  const runners = process.rawListeners('uncaughtException') as NodeJS.UncaughtExceptionListener[]
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => called.push(error.message))
  pool.notify(() => {
    throw new Error('thrown')
  })
  pool.notify(() => called.push('second'))
  pool.put(page)
  assert.deepEqual(called, ['second'])
  assert.equal(pool.stats().recycle.cached, 1)
  await turn()
  process.removeAllListeners('uncaughtException')
  for (const listener of runners) process.on('uncaughtException', listener)
  assert.deepEqual(called, ['second', 'thrown'])
  await end(pool)
})

test('a pool that waits long for its memory says so once a minute', async (t) => {
  const pool = poolOf(3)
  const pages = take(2, pool)
  const reports: unknown[] = []
  const listen = (report: unknown): void => void reports.push(report)
  t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
  subscribe('netmem:destroy', listen)
  const done = pool.destroy()
  t.mock.timers.tick(59_999)
  assert.deepEqual(reports, [])
  t.mock.timers.tick(1)
  assert.deepEqual(reports, [{ inflight: 2, handles: 2, seconds: 60, holders: [] }])
  pool.put(some(pages[0]))
  t.mock.timers.tick(60_000)
  assert.deepEqual(reports[1], { inflight: 1, handles: 1, seconds: 120, holders: [] })
  pool.put(some(pages[1]))
  await done
  await Promise.resolve()
  t.mock.timers.tick(600_000)
  unsubscribe('netmem:destroy', listen)
  assert.equal(reports.length, 2)
  await end(pool)
})

test('with traceLeaks the warning of a destroyed pool says who holds its memory', async (t) => {
  const pool = createPool(hostProvider({ pages: 3, pageSize: 4096 }), { traceLeaks: true })
  const page = some(pool.alloc())
  const frag = createFrag(pool, some(pool.alloc()), 0, 100, 'tcp 192.0.2.1:5201')
  t.mock.timers.enable({ apis: ['setInterval'] })
  const warned = new Promise<string>((resolve) => {
    process.on('warning', function listen(warning: Error & { code?: string }) {
      if (warning.code !== 'netmem:destroy') return
      process.off('warning', listen)
      resolve(warning.message)
    })
  })
  const done = pool.destroy()
  t.mock.timers.tick(60_000)
  const message = await warned
  assert.match(
    message,
    /waits for 2 netmem .* Among them in no frag, of alloc\(\), drivers or skbs: 1\./,
  )
  assert.match(message, /\nhandle since 20[\s\S]*\nfrag since 20.* from tcp 192\.0\.2\.1:5201$/)
  frag.release()
  pool.put(page)
  await done
  await end(pool)
})
