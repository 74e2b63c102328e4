// Skbs that are not freed. They are collected by hand: the tests run with --expose-gc.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { type Netmem, release } from '../../../netmem.ts'
import type { LeakReport } from '../../../pool/leaks.ts'
import { end, some } from '../../../testing/pools.test.helper.ts'
import { turns, until } from '../../../testing/waiting.test.helper.ts'
import { coalesce } from './coalesce.ts'
import { iovSource, PAGE_BYTES, pageSource, type SkbSource } from './skbs.test.helper.ts'

/** Returns the reports of skbs that `action` leaves behind. */
async function reportsOf(action: () => void): Promise<LeakReport[]> {
  const reports: LeakReport[] = []
  const listen = (report: unknown): void => void reports.push(report as LeakReport)
  subscribe('netmem:leak', listen)
  let collected = false
  const marker = new FinalizationRegistry(() => {
    collected = true
  })
  action()
  // The marker becomes garbage after the skbs do.
  marker.register({}, undefined)
  await until(() => {
    some(globalThis.gc)()
    return collected
  }, 'a marker is collected')
  await turns()
  unsubscribe('netmem:leak', listen)
  return reports
}

async function dropsAreReported<M extends Netmem>(source: SkbSource<M>): Promise<void> {
  const piece = (netmem: number, offset = 0) => ({ netmem, offset, length: 100 })
  // Freed, trimmed, split and coalesced skbs have given back what they had.
  const none = await reportsOf(() => {
    for (let round = 0; round < 3; round++) {
      const skb = source.skb([piece(0), piece(1), piece(2)])
      source.forget()
      skb.trimFront(150)
      skb.trimEnd(50)
      const front = skb.splitFront(70)
      assert.ok(coalesce(front, skb))
      front.free()
    }
  })
  assert.deepEqual(none, [])
  let dropped: M[] = []
  const reports = await reportsOf(() => {
    const skb = source.skb([piece(0), piece(0, 100), piece(1)])
    source.forget()
    dropped = skb.frags.slice(0, 3).map(some)
  })
  const report = { kind: 'skb', pageSize: PAGE_BYTES, label: undefined, stack: undefined }
  assert.deepEqual(reports, [report, report])
  for (const m of dropped) release(m)
  await end(source.pool)
}

test('an skb that is dropped is reported, once for each netmem it held', async () => {
  await dropsAreReported(pageSource())
  await dropsAreReported(iovSource())
})
