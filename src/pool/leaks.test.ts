// Frags without a release. They are collected by hand: the tests run with --expose-gc.
import assert from 'node:assert/strict'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { test } from 'node:test'
import { bits, indexOf, type Page, retain } from '../netmem.ts'
import { hostProvider } from '../providers/host.ts'
import { sharedProvider } from '../providers/shared.ts'
import { end, some, take } from '../testing/pools.test.helper.ts'
import { turns } from '../testing/waiting.test.helper.ts'
import { attachPool } from './attached-pool.ts'
import { createFrag } from './create-frag.ts'
import { createPool } from './create-pool.ts'
import type { HostFrag } from './frag.ts'
import type { LeakReport } from './leaks.ts'
import type { Lent } from './lent.ts'
import type { PagePool } from './page-pool.ts'

const pageSize = 64 * 1024

/** An application of its own: what is beside this file counts as the package's. */
const applicationUrl = `data:text/javascript,${encodeURIComponent(`
  export function receiveInApplication(pool, createFrag, label) {
    const page = pool.alloc()
    createFrag(pool, page, 0, 100, label)
    return page
  }
  export function allocInApplication(pool) {
    return pool.alloc()
  }
`)}`

async function collect(): Promise<void> {
  for (let rounds = 0; rounds < 3; rounds++) {
    some(globalThis.gc)()
    await turns()
  }
}

/** Returns the reports while `action` runs, and after the collection that follows it. */
async function reportsOf(action: () => void | Promise<void>): Promise<LeakReport[]> {
  const reports: LeakReport[] = []
  const listen = (report: unknown): void => void reports.push(report as LeakReport)
  subscribe('netmem:leak', listen)
  await action()
  await collect()
  unsubscribe('netmem:leak', listen)
  return reports
}

function poolOf(pages: number, traceLeaks = false): PagePool<Page> {
  return createPool(hostProvider({ pages, pageSize }), { traceLeaks })
}

/** Takes a page as a frag and drops the frag. Returns the page, to be put by hand. */
function drop(pool: PagePool<Page>): Page {
  const page = some(pool.alloc())
  receiveForTest(pool, page)
  return page
}

function receiveForTest(pool: PagePool<Page>, page: Page): HostFrag {
  return createFrag(pool, page)
}

test('a frag that is dropped is reported once, and its page stays out', async () => {
  const pool = poolOf(4)
  let dropped: Page[] = []
  const reports = await reportsOf(() => {
    dropped = [drop(pool), drop(pool)]
  })
  const report = { kind: 'frag', pageSize, label: undefined, stack: undefined }
  assert.deepEqual(reports, [report, report])
  assert.equal(pool.out, 2)
  assert.deepEqual(await reportsOf(() => {}), [])
  for (const page of dropped) pool.put(page)
  await end(pool)
})

test('with traceLeaks the report has the frames of the application, and a label', async () => {
  const { receiveInApplication } = await import(applicationUrl)
  const pool = poolOf(2, true)
  const pages: Page[] = []
  const reports = await reportsOf(() => {
    for (const label of ['tcp 192.0.2.1:5201', undefined]) {
      pages.push(receiveInApplication(pool, createFrag, label))
    }
  })
  assert.deepEqual(reports.map(({ label }) => label).sort(), ['tcp 192.0.2.1:5201', undefined])
  for (const { stack } of reports) {
    assert.match(some(stack), /^ {4}at (Module\.)?receiveInApplication \(data:/)
    assert.doesNotMatch(some(stack), /dist|node:/)
  }
  for (const page of pages) pool.put(page)
  await end(pool)
})

test('who holds what is listed, the longest first: frags, and handles of alloc()', async () => {
  const { allocInApplication } = await import(applicationUrl)
  const pool = poolOf(4, true)
  const bare: Page[] = []
  bare.push(allocInApplication(pool))
  const frag = createFrag(pool, allocInApplication(pool), 0, 100, 'tcp 192.0.2.1:5201')
  bare.push(allocInApplication(pool))
  pool.put(allocInApplication(pool))
  const holders = pool.holders()
  assert.deepEqual(
    holders.map(({ kind, label }) => ({ kind, label })),
    [
      { kind: 'handle', label: undefined },
      { kind: 'frag', label: 'tcp 192.0.2.1:5201' },
      { kind: 'handle', label: undefined },
    ],
  )
  assert.match(some(holders[0]?.stack), /allocInApplication/)
  assert.equal(pool.stats().handles, 2)
  frag.release()
  assert.equal(pool.stats().handles, 2)
  for (const page of bare) pool.put(page)
  assert.deepEqual(pool.holders(), [])
  assert.equal(pool.stats().handles, 0)
  await end(pool)
})

test('a page whose frags had two tokens is no bare handle when it is used again', async () => {
  const pool = poolOf(1)
  for (const last of [0, 1, 0]) {
    const page = some(pool.alloc())
    const frags = [createFrag(pool, page, 0, 100)]
    retain(page)
    frags.push(createFrag(pool, page, 100, 100))
    frags[1 - last]?.release()
    assert.equal(pool.stats().handles, 0)
    frags[last]?.release()
    const again = createFrag(pool, some(pool.alloc()))
    assert.equal(pool.stats().handles, 0)
    again.release()
  }
  await end(pool)
})

test('with traceLeaks a new use of a page has no label of the one before', async () => {
  const pool = poolOf(1, true)
  createFrag(pool, some(pool.alloc()), 0, 100, 'tcp 192.0.2.1:5201').release()
  const frag = createFrag(pool, some(pool.alloc()), 0, 100)
  const [holder] = pool.holders()
  assert.deepEqual([holder?.kind, holder?.label], ['frag', undefined])
  frag.release()
  await end(pool)
})

test('a pool in the slots of a destroyed one counts frags of its own', async () => {
  const options = { pages: 1, pageSize: 4096 }
  const before = createPool(hostProvider(options))
  const first = some(before.alloc())
  createFrag(before, first).release()
  await before.destroy()

  const pool = createPool(hostProvider(options))
  const page = some(pool.alloc())
  assert.equal(indexOf(bits(page)), indexOf(bits(first)))
  const frag = createFrag(pool, page)
  assert.equal(pool.stats().handles, 0)
  frag.release()
  assert.equal(pool.stats().out, 0)
  await end(pool)
})

for (const tracing of [false, true]) {
  test(`of two frags that were made apart of one page either keeps it from being a bare handle${tracing ? ', with traceLeaks' : ''}`, async () => {
    const pool = poolOf(1, tracing)
    for (const first of [0, 1, 0]) {
      const page = some(pool.alloc())
      retain(page, 2)
      const frags = [createFrag(pool, page, 0, 100), createFrag(pool, page, 100, 100)]
      frags[first]?.release()
      assert.equal(pool.stats().handles, 0)
      if (tracing) assert.equal(pool.holders()[0]?.kind, 'frag')
      frags[1 - first]?.release()
      assert.equal(pool.stats().handles, 1)
      if (tracing) assert.equal(pool.holders()[0]?.kind, 'handle')
      pool.put(page)
    }
    await end(pool)
  })
}

test('without a listener a leak is a warning of the process', async () => {
  const pool = poolOf(1)
  assert.equal(channel('netmem:leak').hasSubscribers, false)
  const warned = once(process, 'warning')
  const page = drop(pool)
  await collect()
  const [warning] = await warned
  assert.equal(warning.name, 'NetmemWarning')
  assert.equal(warning.code, 'netmem:leak')
  assert.match(warning.message, /65536 bytes .*traceLeaks: true/)
  pool.put(page)
  await end(pool)
})

test('released frags and their slices are not reported', async () => {
  const pool = poolOf(4)
  const reports = await reportsOf(() => {
    for (let uses = 0; uses < 100; uses++) {
      using frag = createFrag(pool, some(pool.alloc()))
      using slice = frag.slice(0, 32_768)
      using copy = slice.slice(0, 10)
      assert.equal(copy.length, 10)
    }
  })
  assert.deepEqual(reports, [])
  await end(pool)
})

test('a copy that is dropped holds nothing and is not reported', async () => {
  const pool = poolOf(1)
  const reports = await reportsOf(() => {
    using frag = createFrag(pool, some(pool.alloc()))
    frag.slice(0, 10)
  })
  assert.deepEqual(reports, [])
  await end(pool)
})

test('a slice keeps the page from being reported; the last one dropped has it reported', async () => {
  const pool = poolOf(1)
  const page = some(pool.alloc())
  const slices: HostFrag[] = []
  assert.deepEqual(
    await reportsOf(() => {
      const frag = createFrag(pool, page)
      slices.push(frag.slice(0, 20_000), frag.slice(20_000, 40_000))
    }),
    [],
  )
  assert.deepEqual(await reportsOf(() => void slices.pop()?.release()), [])
  const reports = await reportsOf(() => void slices.pop())
  assert.equal(reports.length, 1)
  // The frag and the slice that were dropped.
  assert.equal(pool.references(page), 2)
  for (let references = 2; references > 0; references--) pool.put(page)
  await end(pool)
})

test('frags made apart of one page are reported only if one of them is dropped', async () => {
  const pool = poolOf(1)
  assert.deepEqual(
    await reportsOf(() => {
      for (let uses = 0; uses < 10; uses++) {
        const page = some(pool.alloc())
        retain(page, 2)
        const frags = [createFrag(pool, page, 0, 100), createFrag(pool, page, 100, 100)]
        for (const frag of frags) frag.release()
        // The driver's own reference, with which it might have filled the rest.
        pool.put(page)
      }
    }),
    [],
  )
  let page: Page | undefined
  const reports = await reportsOf(() => {
    page = some(pool.alloc())
    retain(page)
    createFrag(pool, page, 0, 100).release()
    createFrag(pool, page, 100, 100)
  })
  assert.equal(reports.length, 1)
  pool.put(some(page))
  await end(pool)
})

test('a page is reported once for each lost frag, and not again when another frag is released', async () => {
  const pool = poolOf(1)
  let page: Page | undefined
  const lost = await reportsOf(() => {
    page = drop(pool)
  })
  assert.equal(lost.length, 1)
  const released = await reportsOf(() => {
    retain(some(page))
    createFrag(pool, some(page), 0, 100).release()
    assert.equal(pool.stats().handles, 0, 'its memory is in the lost frag')
  })
  assert.deepEqual(released, [])
  const lostToo = await reportsOf(() => {
    retain(some(page))
    createFrag(pool, some(page), 0, 100)
  })
  assert.equal(lostToo.length, 1)
  for (let references = 2; references > 0; references--) pool.put(some(page))
  const again = await reportsOf(() => {
    createFrag(pool, some(pool.alloc())).release()
    page = drop(pool)
    assert.equal(pool.stats().handles, 0)
  })
  assert.equal(again.length, 1)
  pool.put(some(page))
  await end(pool)
})

test('frags that are lent are not reported here, nor when they have come back', async () => {
  const pool = createPool(sharedProvider({ pages: 2, pageSize }))
  const attached = attachPool(pool.share())
  const lent: Lent[] = []
  const lendAll = (): void => {
    for (let n = 0; n < 2; n++) {
      lent.push(some(createFrag(pool, some(pool.alloc())).lend({ once: () => undefined })))
    }
  }
  const giveBack = (): void => {
    for (const one of lent.splice(0)) attached.receive(one).release()
    assert.equal(pool.available, 2)
  }
  assert.deepEqual(await reportsOf(lendAll), [])
  assert.deepEqual(await reportsOf(giveBack), [])
  // A driver that holds the page's last reference makes no report either.
  const besides = await reportsOf(() => {
    const page = some(pool.alloc())
    retain(page)
    lent.push(some(createFrag(pool, page).lend({ once: () => undefined })))
    giveBackHalf()
    pool.put(page)
  })
  assert.deepEqual(besides, [])
  // The table of what is lent does not keep a page from being reported later.
  let page: Page | undefined
  const reports = await reportsOf(() => {
    page = some(pool.alloc())
    const frag = createFrag(pool, page)
    lent.push(some(frag.slice(0, 32_768).lend({ once: () => undefined })))
    giveBackHalf()
  })
  function giveBackHalf(): void {
    for (const one of lent.splice(0)) attached.receive(one).release()
    assert.equal(pool.available, 1)
  }
  assert.equal(reports.length, 1)
  pool.put(some(page))
  await end(pool)
})

test('each page is registered once, however often it is used', async (t) => {
  const pool = createPool(sharedProvider({ pages: 3, pageSize }))
  const register = t.mock.method(FinalizationRegistry.prototype, 'register')
  const attached = attachPool(pool.share())
  for (let uses = 0; uses < 50; uses++) {
    const frags = take(3, pool).map((page) => createFrag(pool, page))
    const slices = frags.map((frag) => frag.slice(0, 32_768))
    const lent = slices.map((slice) => some(slice.lend({ once: () => undefined })))
    for (const frag of frags) frag.release()
    for (const one of lent) attached.receive(one).release()
    assert.equal(pool.available, 3)
  }
  assert.equal(register.mock.callCount(), 3)
  await end(pool)
})
