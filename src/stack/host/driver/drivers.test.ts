// Tests both drivers on pages: the conformance suite, and behaviour of one driver alone.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { bytesOf, type Page } from '../../../netmem.ts'
import { createPool, dualPool } from '../../../pool/create-pool.ts'
import type { PagePool } from '../../../pool/page-pool.ts'
import { pools } from '../../../pool/pools.ts'
import { hostProvider } from '../../../providers/host.ts'
import { sharedProvider } from '../../../providers/shared.ts'
import { some } from '../../../testing/pools.test.helper.ts'
import { turns } from '../../../testing/waiting.test.helper.ts'
import { type DeliveredPacket, driverConformance } from '../../testing/driver-conformance.ts'
import { HandNic } from '../../testing/hand-nic.ts'
import { MAX_SKB_FRAGS, type Skb } from '../skb/skb.ts'
import { openNetmemDriver } from './netmem-driver.ts'
import { openPageDriver } from './page-driver.ts'

const LAYOUT = { pages: 8, pageSize: 4096 }
const HEADER = Uint8Array.from({ length: 66 }, (_, i) => i)

function headers(): PagePool<Page> {
  return createPool(sharedProvider({ pages: 4, pageSize: 4096 }))
}

function packetOf(skb: Skb<Page>): DeliveredPacket {
  const parts = [...skb.head.subarray(0, skb.headLength)]
  for (let at = 0; at < skb.fragCount; at++) {
    const page = skb.frags[at]
    assert.ok(page !== undefined)
    const offset = skb.offsets[at] ?? 0
    parts.push(...bytesOf(page).subarray(offset, offset + (skb.lengths[at] ?? 0)))
  }
  return { queue: skb.queue, frame: Uint8Array.from(parts), free: () => skb.free() }
}

test('pools() says what a driver has posted', async () => {
  const pool = createPool(sharedProvider(LAYOUT), { name: 'posted' })
  const headerPool = headers()
  const deliver = (): void => undefined
  const driver = await openPageDriver(new HandNic(1), {
    pools: [pool],
    headerPool,
    bufferBytes: 1024,
    ringSize: 16,
    deliver,
  })
  const held = () => pools().find(({ name }) => name === 'posted')?.held
  // 16 buffers of a quarter of a page.
  assert.deepEqual([held()?.posted, held()?.application], [4, 0])
  await driver.close()
  assert.deepEqual([held()?.posted, held()?.application], [0, 0])
  await Promise.all([pool.destroy(), headerPool.destroy()])
})

for (const bufferBytes of [1024, 4096]) {
  driverConformance(`page driver, buffers of ${bufferBytes}`, async (nic, deliver) => {
    const pools = [createPool(sharedProvider(LAYOUT)), createPool(sharedProvider(LAYOUT))]
    const headerPool = headers()
    const all = [...pools, headerPool]
    const driver = await openPageDriver(nic, {
      pools,
      headerPool,
      bufferBytes,
      ringSize: 16,
      deliver: (skb) => deliver(packetOf(skb)),
    }).finally(() => {
      if (nic instanceof HandNic && !nic.isRunning(0)) assert.deepEqual(outOf(all), 0)
    })
    return { poll: () => driver.poll(), close: () => driver.close(), out: () => outOf(all) }
  })

  driverConformance(`netmem driver, buffers of ${bufferBytes}`, async (nic, deliver) => {
    const pools = [dualPool(sharedProvider(LAYOUT)), dualPool(sharedProvider(LAYOUT))]
    const headerPool = headers()
    const all = [...pools, headerPool]
    const driver = await openNetmemDriver(nic, {
      pools,
      headerPool,
      bufferBytes,
      ringSize: 16,
      deliver: (skb) => {
        assert.ok(skb.kind === 'page')
        deliver(packetOf(skb))
      },
    }).finally(() => {
      if (nic instanceof HandNic && !nic.isRunning(0)) assert.deepEqual(outOf(all), 0)
    })
    return { poll: () => driver.poll(), close: () => driver.close(), out: () => outOf(all) }
  })
}

function outOf(pools: readonly { readonly out: number }[]): number {
  return pools.reduce((sum, { out }) => sum + out, 0)
}

test('the NIC finds new buffers before a poll of large packets is over', async () => {
  const nic = new HandNic(1)
  const pool = createPool(sharedProvider({ pages: 16, pageSize: 4096 }))
  const headerPool = headers()
  const large = new Uint8Array(2 * 4096)
  const found: boolean[] = []
  const options = { pools: [pool], headerPool, bufferBytes: 4096, ringSize: 8 }
  const deliver = (skb: Skb<Page>): void => {
    if (found.length < 4) found.push(nic.receive(0, HEADER, large))
    skb.free()
  }
  const driver = await openPageDriver(nic, { ...options, deliver })
  while (nic.receive(0, HEADER, large));
  driver.poll()
  // A quarter of the ring is free after the first packet.
  assert.deepEqual(found, [false, true, true, true])
  await driver.close()
  await Promise.all([pool.destroy(), headerPool.destroy()])
})

test('a packet in more pieces than an skb has frags is dropped whole, and counted', async () => {
  const nic = new HandNic(1)
  const pool = createPool(sharedProvider(LAYOUT))
  const headerPool = headers()
  const received: number[] = []
  const deliver = (skb: Skb<Page>): void => {
    received.push(skb.dataLength)
    skb.free()
  }
  const options = { pools: [pool], headerPool, bufferBytes: 256, ringSize: 32 }
  const driver = await openPageDriver(nic, { ...options, deliver })
  for (const pieces of [MAX_SKB_FRAGS + 3, MAX_SKB_FRAGS]) {
    assert.ok(nic.receive(0, HEADER, new Uint8Array(256 * pieces)))
    assert.equal(driver.poll(), 1)
  }
  assert.deepEqual(received, [256 * MAX_SKB_FRAGS])
  const { rx_packets, rx_dropped_frags } = some(driver.stats(0))
  assert.deepEqual([rx_packets, rx_dropped_frags], [1, 1])
  await driver.close()
  assert.equal(pool.out, 0)
  await Promise.all([pool.destroy(), headerPool.destroy()])
})

test('several packets share a page, each with a reference of its own', async () => {
  const nic = new HandNic()
  const pool = createPool(sharedProvider(LAYOUT))
  const headerPool = headers()
  const received: Skb<Page>[] = []
  const options = { headerPool, bufferBytes: 1024, ringSize: 16 }
  const deliver = (skb: Skb<Page>): void => void received.push(skb)
  const driver = await openPageDriver(nic, { ...options, pools: [pool], deliver })
  assert.equal(pool.out, 4, '16 buffers of 1 KiB are 4 pages of 4 KiB')
  for (let i = 0; i < 4; i++) nic.receive(0, HEADER, new Uint8Array(900))
  driver.poll()
  assert.equal(new Set(received.map((skb) => skb.frags[0])).size, 1)
  assert.equal(pool.out, 5)
  for (const skb of received) skb.free()
  assert.equal(pool.out, 4)
  await driver.close()
  await Promise.all([pool.destroy(), headerPool.destroy()])
})

test('polls by itself once it runs, from one interrupt to the next', async () => {
  const nic = new HandNic()
  const pool = createPool(sharedProvider(LAYOUT))
  const headerPool = headers()
  let seen: () => void = () => {}
  const deliver = (skb: Skb<Page>): void => {
    skb.free()
    seen()
  }
  const driver = await openPageDriver(nic, { headerPool, pools: [pool], ringSize: 16, deliver })
  driver.run()
  for (let i = 0; i < 3; i++) {
    // Long enough to have stopped polling and wait for an interrupt.
    await turns(500)
    const arrived = new Promise<void>((resolve) => {
      seen = resolve
    })
    nic.receive(0, HEADER, new Uint8Array(100))
    await arrived
  }
  await driver.close()
  await Promise.all([pool.destroy(), headerPool.destroy()])
})

test('memory that threads do not share is refused', async () => {
  const headerPool = headers()
  const pool = createPool(hostProvider({ pages: 4, pageSize: 4096 }))
  const opening = openPageDriver(new HandNic(), { headerPool, pools: [pool], deliver: () => {} })
  await assert.rejects(opening, { code: 'NETMEM_NOT_SHARED' })
  assert.equal(pool.out + headerPool.out, 0)
  await Promise.all([pool.destroy(), headerPool.destroy()])
})

test('what is declared of the page driver knows no other memory', () => {
  const declared = readFileSync('dist/stack/host/driver/page-driver.d.ts', 'utf8')
  assert.match(declared, /PagePool<Page>/)
  assert.doesNotMatch(declared, /NetIov|Netmem/)
})
