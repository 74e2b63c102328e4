import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { test } from 'node:test'
import { createFrag } from '../../pool/create-frag.ts'
import { createPool } from '../../pool/create-pool.ts'
import type { DryReport } from '../../pool/dry-report.ts'
import { copiedFrag, type HostFrag } from '../../pool/frag.ts'
import { hostProvider } from '../../providers/host.ts'
import { some } from '../../testing/pools.test.helper.ts'
import { endAll, pattern, ways, withEnds } from '../harness.test.helper.ts'
import { DryWatch } from './dry-watch.ts'

const pageSize = 65_536

/** Reports that are published while `body` runs. */
async function reportsOf(body: (reports: DryReport[]) => void | Promise<void>): Promise<void> {
  const reports: DryReport[] = []
  const listen = (report: unknown): void => void reports.push(report as DryReport)
  subscribe('netmem:dry', listen)
  try {
    await body(reports)
  } finally {
    unsubscribe('netmem:dry', listen)
  }
}

function setUp() {
  const pool = createPool(hostProvider({ pages: 2, pageSize }))
  const watch = new DryWatch(pool)
  let seconds = 0
  /** A second goes by. */
  const tick = (): void => watch.look(++seconds * 1000)
  return { pool, watch, tick }
}

test('a pool is reported that was dry for a second, then in pauses that double', async () => {
  const { pool, watch, tick } = setUp()
  const frags = [createFrag(pool, some(pool.alloc())), copiedFrag(pool, pattern(0, 100))]
  await reportsOf((reports) => {
    watch.update(3, false)
    tick()
    const { since, ...report } = some(reports[0])
    const held = { out: 1, copiedBytes: 100, waiting: 3, handles: 0, holders: [] }
    assert.deepEqual(report, { pageSize, capacity: 2, ...held })
    assert.ok(since <= new Date())
    const reported: number[] = []
    for (let second = 2; second <= 200; second++) {
      const before = reports.length
      tick()
      if (reports.length > before) reported.push(second)
    }
    assert.deepEqual(reported, [3, 7, 15, 31, 63, 123, 183])
  })
  watch.update(0, false)
  tick()
  for (const frag of frags) frag.release()
  await endAll(pool)
})

test('a pool to which memory comes back, or for which none waits, is not reported', async () => {
  const { pool, watch, tick } = setUp()
  await reportsOf((reports) => {
    watch.update(1, false)
    for (let second = 0; second < 5; second++) {
      watch.cameBack()
      tick()
    }
    for (let second = 0; second < 5; second++) {
      watch.update(0, false)
      watch.update(1, false)
      tick()
    }
    assert.deepEqual(reports, [])
    tick()
    assert.equal(reports.length, 1)
    watch.update(0, false)
    tick()
    tick()
    assert.equal(reports.length, 1)
  })
  await endAll(pool)
})

test('without a subscriber there is one warning', async () => {
  const { pool, watch, tick } = setUp()
  const warned: string[] = []
  const listen = ({ message }: Error): void => void warned.push(message)
  process.on('warning', listen)
  watch.update(1, false)
  for (let second = 0; second < 100; second++) tick()
  watch.update(0, false)
  // Warnings are emitted on the next tick, in order.
  const last = once(process, 'warning')
  process.emitWarning('the last one')
  await last
  process.off('warning', listen)
  assert.equal(warned.length, 2)
  assert.match(some(warned[0]), /^A connection waits .* 0 of 2 pages of 65536 bytes .*traceLeaks/)
  tick()
  await endAll(pool)
})

for (const way of ways(['tcp4'])) {
  test(`with traceLeaks the report says who holds the memory (${way.name})`, async () => {
    const pool = createPool(hostProvider({ pages: 4, pageSize }), { traceLeaks: true })
    await withEnds(
      way,
      async ({ connection, peer }) => {
        await reportsOf(async (reports) => {
          const held: HostFrag[] = []
          const received = (async () => {
            for await (const frag of connection) held.push(frag)
          })()
          const reported = new Promise((resolve) => {
            subscribe('netmem:dry', resolve)
          })
          peer.end(pattern(0, 1_000_000))
          await reported
          const { out, waiting, holders } = some(reports[0])
          assert.deepEqual({ out, waiting }, { out: 4, waiting: 1 })
          assert.equal(holders.length, 4)
          for (const { kind, label } of holders) assert.match(`${kind} ${label}`, /^frag tcp 127/)
          connection.destroy()
          await assert.rejects(received)
          for (const frag of held) frag.release()
        })
      },
      { pool },
    )
  })
}
