import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPool } from '../../../pool/create-pool.ts'
import { dmaBufProvider } from '../../../providers/dma-buf.ts'
import { sharedProvider } from '../../../providers/shared.ts'
import { end, some } from '../../../testing/pools.test.helper.ts'
import { InjectedLink } from '../../device/injected-link.ts'
import { createDoorbell } from '../../rings/doorbell.ts'
import { RxCompletion } from '../../rings/rx-front-end.ts'
import { createRxRings, DriverRxRing } from '../../rings/shared-rings.ts'
import { createTxRing } from '../../rings/shared-tx-rings.ts'
import { createInlineDevice } from '../../testing/inline-device.test.helper.ts'
import { frameOf, onDevices, openRunning, openStepped, rejects } from './device.test.helper.ts'
import type { DeviceThread } from './device-thread.ts'
import type { Nic } from './nic.ts'
import {
  forStub,
  misbehave,
  receiveTimes,
  STUB_CONFIG,
  stubFeatures,
  stubParts,
} from './stub-nic.test.helper.ts'

const PAGE = 4096
const injected = { kind: 'injected' } as const

/** A NIC with queue 0 started on rings without header buffers. */
async function startNic(device: DeviceThread): Promise<{ nic: Nic; ring: DriverRxRing }> {
  const nic = await device.openNic({ link: injected })
  const rings = createRxRings(8, undefined, device.doorbell)
  await nic.startQueue(0, rings, STUB_CONFIG)
  return { nic, ring: new DriverRxRing(rings) }
}

onDevices('frames land in the memory that was posted: net_iovs and pages', async (device) => {
  const { nic, ring } = await startNic(device)
  const memory = await device.openMemory(64 * PAGE)
  const segments = [2 * PAGE, PAGE, PAGE]
  const dmabuf = await memory.exportDmaBuf({ bytes: 4 * PAGE, segments })
  const attachment = await dmabuf.attach(nic)
  const provider = dmaBufProvider({
    id: 1,
    bytes: dmabuf.bytes,
    segments: attachment.segments,
  })
  const iovs = createPool(provider)
  const shared = sharedProvider({ pages: 1, pageSize: PAGE })
  const pages = createPool(shared)
  const region = await device.mapHost(some(shared.shared).buffer)
  const posted = [0, 1, 2, 3].map(() => some(iovs.alloc()))
  for (const [id, iov] of posted.entries()) {
    ring.post(id, provider.dmaRegion(iov), provider.dmaOffset(iov), PAGE)
  }
  const page = some(pages.alloc())
  ring.post(4, region, 0, PAGE)
  ring.flush()
  const frames = [0, 1, 2, 3, 4].map((seed) => frameOf(PAGE - seed, seed))
  assert.equal(await nic.inject(frames), 5)
  assert.equal(await device.run(0), 5)
  const completion = new RxCompletion()
  for (const [id, iov] of posted.entries()) {
    assert.ok(ring.poll(completion))
    assert.deepEqual([completion.id, completion.bytes], [id, PAGE - id])
    const read = await device.read(dmabuf, provider.offset(iov), PAGE - id)
    assert.deepEqual(read, frames[id])
    iovs.put(iov)
  }
  assert.ok(ring.poll(completion))
  assert.deepEqual(pages.bytes(page).slice(0, PAGE - 4), frames[4])
  assert.equal(ring.poll(completion), false)
  pages.put(page)
  await nic.stopQueue(0)
  await end(iovs, pages)
  await attachment.detach()
  await memory.close()
})

onDevices('a NIC is told what to do, and tells how it went', async (device) => {
  const { nic } = await startNic(device)
  assert.equal(await nic.addRule(forStub({ port: 80 })), 1)
  assert.equal(await nic.addRule(forStub({ port: 81 })), 2)
  await nic.removeRule(1)
  await nic.setRssTable([0, 0, 1])
  assert.deepEqual(await nic.rssTable(), [0, 0, 1])
  await misbehave(nic, { failStart: true })
  const rings = createRxRings(8, undefined, device.doorbell)
  await rejects(nic.startQueue(0, rings, STUB_CONFIG), 'NETMEM_NIC_BUSY', 'EBUSY')
  await misbehave(nic, { failStart: false })
  await nic.startQueue(0, rings, STUB_CONFIG)
  assert.equal(await nic.inject([frameOf(60, 0)]), 1)
  assert.equal(await device.run(10), 1)
  assert.deepEqual(await receiveTimes(nic), [0])
  const { rx_packets, rx_hw_drops } = nic.stats().device
  assert.deepEqual([rx_packets, rx_hw_drops], [0, 1])
  const set = await device.openNic({ link: injected, settings: { pause: true } })
  assert.deepEqual(set.features, { ...stubFeatures, pause: true })
  assert.equal(set.stats().device.rx_hw_drops, 0)
  await nic.close()
  assert.equal(await nic.ended, undefined)
  await rejects(nic.rssTable(), 'NETMEM_NO_DEVICE', 'ENODEV')
  assert.equal(nic.stats().device.rx_hw_drops, 1, 'counters outlive their NIC')
})

onDevices('rings that would stop a NIC are refused', async (device) => {
  const nic = await device.openNic({ link: injected })
  const good = createRxRings(8, undefined, device.doorbell)
  await rejects(nic.startQueue(0, { ...good, entries: 16 }, STUB_CONFIG), 'NETMEM_OUT_OF_RANGE')
  await rejects(nic.startQueue(0, { ...good, entries: 6 }, STUB_CONFIG), 'NETMEM_OUT_OF_RANGE')
  await rejects(nic.startQueue(0, { ...good, entries: 0 }, STUB_CONFIG), 'NETMEM_OUT_OF_RANGE')
  const foreign = createRxRings(8, undefined, createDoorbell())
  await assert.rejects(nic.startQueue(0, foreign, STUB_CONFIG), { code: 'NETMEM_OUT_OF_RANGE' })

  const sent = createTxRing(32, device.doorbell)
  const wrong = [
    { ...sent, entries: 64 },
    { ...sent, entries: 33 },
    { ...sent, entries: 16 },
    { ...sent, memory: new SharedArrayBuffer(4) },
  ]
  for (const ring of wrong) await rejects(nic.startTxQueue(0, ring), 'NETMEM_OUT_OF_RANGE')
  const strange = createTxRing(32, createDoorbell())
  await assert.rejects(nic.startTxQueue(0, strange), { code: 'NETMEM_OUT_OF_RANGE' })
})

onDevices('run receives what is due by then, at its time, and the rest later', async (device) => {
  const one = await device.openNic({ link: injected })
  const other = await device.openNic({ link: injected, up: false })
  for (const atNs of [100, 200, 300]) await one.inject([frameOf(60, atNs)], { atNs })
  await other.inject([frameOf(60, 1), frameOf(60, 2)], { atNs: 10 })
  assert.equal(await device.run(99), 0)
  assert.equal(await device.run(200), 2)
  // A link's clock begins as it comes up.
  await other.up()
  assert.equal(await device.run(209), 0)
  assert.equal(await device.run(10), 0)
  assert.equal(await device.run(1000), 3)
  assert.deepEqual(await receiveTimes(one), [100, 200, 300])
  assert.deepEqual(await receiveTimes(other), [10, 10])
  // Frames wait while the link is down.
  await one.down()
  assert.equal(await one.inject([frameOf(60, 0)]), 1)
  assert.equal(await device.run(2000), 0)
  await one.up()
  assert.equal(await device.run(2000), 1)
  for (const untilNs of [-1, 0.5, Number.POSITIVE_INFINITY]) {
    await rejects(device.run(untilNs), 'NETMEM_OUT_OF_RANGE')
  }
})

onDevices('run stops at as many frames as it is told', async (device) => {
  const one = await device.openNic({ link: injected })
  const other = await device.openNic({ link: injected })
  await one.inject(
    [0, 1, 2].map((seed) => frameOf(60, seed)),
    { atNs: 10 },
  )
  await other.inject(
    [0, 1].map((seed) => frameOf(60, seed)),
    { atNs: 20 },
  )
  assert.equal(await device.run(100, 0), 0)
  assert.equal(await device.run(100, 2), 2)
  // Time has not passed beyond these frames: one that is injected now arrives before the other NIC's.
  await one.inject([frameOf(60, 4)])
  assert.equal(await device.run(15), 2)
  assert.equal(await device.run(100, 10), 2)
  await rejects(device.run(100, -1), 'NETMEM_OUT_OF_RANGE')
})

onDevices('a NIC that takes no frames holds up no other NIC', async (device) => {
  const stuck = await device.openNic({ link: injected })
  const other = await device.openNic({ link: injected })
  await misbehave(stuck, { refuse: true })
  for (const nic of [stuck, other]) await nic.inject([frameOf(60, 0)], { atNs: 5 })
  assert.equal(await device.run(10), 1)
  await misbehave(stuck, { refuse: false })
  assert.equal(await device.run(10), 1)
})

onDevices('what a NIC sends comes here, in order, and ends with it', async (device) => {
  const nic = await device.openNic({ link: injected })
  await misbehave(nic, { echo: 2 })
  const frames = [1, 2, 3].map((seed) => frameOf(60 + seed, seed))
  await nic.inject(frames)
  await device.run(0)
  const [first, again, second, ...rest] = nic.takeTransmitted()
  assert.deepEqual([first, again, second, rest.length], [frames[0], frames[0], frames[1], 3])
  await nic.inject(frames.slice(0, 1))
  await device.run(0)
  const read: Uint8Array[] = []
  const reading = (async () => {
    for await (const frame of nic.transmitted()) read.push(frame)
  })()
  await nic.inject(frames.slice(2))
  await device.run(0)
  await nic.close()
  await reading
  assert.deepEqual(read, [frames[0], frames[0], frames[2], frames[2]])
})

onDevices('transmitted frames without a reader are lost beyond a limit', async (device) => {
  const nic = await device.openNic({ link: injected })
  await misbehave(nic, { echo: 5000 })
  const send = async (): Promise<number> => {
    await nic.inject([frameOf(60, 1)])
    await device.run(0)
    return nic.takeTransmitted().length
  }
  assert.equal(await send(), 4096)
  assert.equal(await send(), 4096)
})

onDevices('a full link takes the first frames', async (device) => {
  const nic = await device.openNic({ link: { kind: 'injected', queueBytes: 4096 } })
  const frames = Array.from({ length: 5 }, (_, seed) => frameOf(1024, seed))
  assert.equal(await nic.inject(frames), 4)
  assert.equal(await device.run(0), 4)
  assert.equal(await nic.inject(frames.slice(4)), 1)
  assert.equal(await device.run(0), 1)
})

test('a link that ends is told of once all of it has been received', async () => {
  const linkKinds: typeof stubParts.linkKinds = {
    ...stubParts.linkKinds,
    // Behaves as a capture: what arrives is known from the start, and nothing can be put in.
    injected: () => {
      const link = new InjectedLink(4096, () => {})
      for (const atNs of [10, 20]) assert.ok(link.inject(frameOf(60, atNs), atNs, 'complete'))
      link.close()
      return { link }
    },
  }
  await using device = createInlineDevice({ ...stubParts, linkKinds })
  const nic = await device.openNic({ link: injected })
  let ended = false
  const end = nic.ended.then((failure) => {
    ended = true
    assert.equal(failure, undefined)
  })
  assert.equal(await device.run(10), 1)
  assert.equal(ended, false)
  assert.equal(await device.run(20), 1)
  await end
  await rejects(nic.inject([frameOf(60, 0)]), 'NETMEM_NIC_CONFIG', 'EOPNOTSUPP')
})

test('the same calls are the same run, beside the stack and in a worker', async () => {
  const runs: string[] = []
  const collect = async (device: DeviceThread): Promise<void> => {
    const nic = await device.openNic({ link: injected })
    await misbehave(nic, { echo: 1 })
    const seen: unknown[] = []
    for (let step = 0; step < 50; step++) {
      const frames = Array.from({ length: (step * 7) % 5 }, (_, at) => frameOf(60 + step, at))
      const inject = nic.inject(frames, { atNs: step * 100 + ((step * 37) % 250) })
      seen.push(await inject, await device.run(step * 100))
      seen.push(nic.takeTransmitted().map((frame) => Buffer.from(frame).toString('hex')))
    }
    seen.push(nic.stats())
    runs.push(JSON.stringify(seen))
  }
  const inline = (): DeviceThread => createInlineDevice(stubParts)
  for (const open of [inline, inline, openStepped, openStepped]) {
    await using device = await open()
    await collect(device)
  }
  assert.equal(runs.length, 4)
  assert.equal(new Set(runs).size, 1)
})

test('a device that runs by itself receives what arrives, when it arrives', async () => {
  await using device = await openRunning()
  device.ref()
  const { nic, ring } = await startNic(device)
  const region = await device.mapHost(new SharedArrayBuffer(PAGE))
  const completion = new RxCompletion()
  for (let round = 0; round < 50; round++) {
    ring.post(round, region, 0, PAGE)
    ring.flush()
    const arrived = ring.interrupt()
    assert.equal(await nic.inject([frameOf(100 + round, round)]), 1)
    await arrived
    assert.ok(ring.poll(completion))
    assert.deepEqual([completion.id, completion.bytes], [round, 100 + round])
  }
  // Later on the link's clock: it sleeps until then, and wakes by itself.
  const dueNs = Math.ceil(some((await receiveTimes(nic)).at(-1))) + 250e6
  ring.post(0, region, 0, PAGE)
  ring.flush()
  const arrived = ring.interrupt()
  await nic.inject([frameOf(60, 0)], { atNs: dueNs })
  await arrived
  assert.ok(ring.poll(completion))
  assert.ok(some((await receiveTimes(nic)).at(-1)) >= dueNs)
  await rejects(device.run(0), 'NETMEM_NIC_CONFIG', 'EINVAL')
  await nic.close()
})
