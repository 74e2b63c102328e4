import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDoorbell } from '../../rings/doorbell.ts'
import { faultyRxRing } from '../../rings/faulty-rx-ring.ts'
import { NicCounters } from '../../rings/nic-counters.ts'
import { RX_CHECKSUM_BAD, RX_CHECKSUM_OK } from '../../rings/rx-front-end.ts'
import { createRxRings, NicRxRing } from '../../rings/shared-rings.ts'
import { arp, frame, pattern } from './frames.test.helper.ts'
import { oneQueue, receiveAll, SPLIT, testNic, UNSPLIT } from './nic.test.helper.ts'

const udp = (port: number): Uint8Array =>
  frame({ protocol: 'udp', destinationPort: port, payload: pattern(100, port) })

test('checksums: verified, wrong, partial, none there', () => {
  const bad = frame({ payload: pattern(50), badChecksum: true })
  for (const verifyChecksums of [true, false]) {
    const { nic, link, driver } = oneQueue({}, { verifyChecksums })
    driver.post(...new Array<number>(8).fill(256))
    link.put(udp(1), bad, { bytes: bad, checksum: 'partial' }, arp(), {
      bytes: arp(),
      checksum: 'partial',
    })
    const packets = receiveAll(nic, link, driver)
    assert.deepEqual(
      packets.map(({ flags }) => (flags & RX_CHECKSUM_OK) !== 0),
      [verifyChecksums, false, true, false, false],
    )
    assert.deepEqual(
      packets.map(({ flags }) => (flags & RX_CHECKSUM_BAD) !== 0),
      [false, verifyChecksums, false, false, false],
    )
    const { rx_csum_unnecessary, rx_csum_bad, rx_csum_none } = nic.counters.stats().device
    assert.deepEqual(
      [rx_csum_unnecessary, rx_csum_bad, rx_csum_none],
      verifyChecksums ? [2, 1, 2] : [1, 0, 4],
    )
  }
})

test('a frame for which too few buffers are posted is dropped, and takes none', () => {
  const { nic, link, driver } = oneQueue()
  driver.post(50)
  link.put(udp(1), frame(), udp(2))
  assert.deepEqual(
    receiveAll(nic, link, driver).map(({ ids }) => ids),
    [[]],
    'what needs no buffer is received',
  )
  assert.equal(nic.counters.stats().device.rx_hw_drop_overruns, 2)
  driver.post(50)
  link.put(udp(3))
  assert.deepEqual(receiveAll(nic, link, driver)[0]?.ids, [0, 1])
  const stats = nic.counters.stats().device
  assert.equal(stats.rx_hw_drops, 2)
  assert.equal(stats.rx_packets, 2)
  assert.equal(stats.rx_bytes, 54 + 142)
})

test('no room for completions: dropped', () => {
  const { nic, link, driver } = oneQueue({}, {}, { entries: 4 })
  driver.post(100, 40, 40, 40)
  link.put(udp(1), udp(2), frame(), frame(), frame())
  assert.equal(nic.receive(0, 99), 5)
  assert.equal(nic.counters.stats().device.rx_hw_drop_overruns, 3)
  assert.deepEqual(
    driver.read().map(({ ids }) => ids),
    [[0], [1, 2, 3]],
  )
})

test('pause: a frame without buffers waits on the link, then nothing is lost', () => {
  const { nic, link, driver } = oneQueue({}, { pause: true, clockMs: () => 0 })
  link.put(...Array.from({ length: 50 }, (_, at) => udp(at)))
  for (let turn = 0; turn < 1000 && (link.left > 0 || nic.paused); turn++) {
    nic.receive(0, 7)
    driver.read()
    if (nic.paused && turn % 3 === 0) driver.post(60, 40)
  }
  assert.deepEqual(
    driver.packets.map(({ header }) => header[37]),
    Array.from({ length: 50 }, (_, at) => at),
  )
  const { rx_hw_drops, tx_pause_frames, rx_packets } = nic.counters.stats().device
  assert.deepEqual([rx_hw_drops, rx_packets], [0, 50])
  assert.ok(tx_pause_frames > 10)
})

test('pause ends after its limit: the queue drops until it takes a frame again', () => {
  let now = 0
  const { nic, link, drivers } = testNic({
    queues: 2,
    pause: true,
    pauseLimitMs: 10,
    clockMs: () => now,
  })
  const [dry, other] = drivers
  assert.ok(dry !== undefined && other !== undefined)
  nic.startQueue(0, dry.frontEnd, SPLIT)
  nic.startQueue(1, other.frontEnd, SPLIT)
  other.post(200)
  nic.steering.setRssTable(new Array<number>(128).fill(0))
  const rule = { protocol: 'udp', destinationPort: 9, queue: 1 } as const
  nic.steering.addRule({ ...rule, destinationAddress: Uint8Array.of(10, 0, 0, 2) })
  link.put(udp(1), udp(2), udp(9), udp(3))
  now = 100
  assert.equal(nic.receive(0, 9), 0)
  now = 110
  assert.equal(nic.receive(0, 9), 0)
  assert.equal(nic.paused, true)
  now = 111
  assert.equal(nic.receive(0, 9), 4, 'the others do not wait')
  assert.equal(nic.paused, false)
  assert.equal(other.read().length, 1)
  assert.equal(nic.counters.stats().rxQueues[0]?.rx_hw_drop_overruns, 3)
  dry.post(200)
  link.put(udp(4), udp(5))
  assert.equal(nic.receive(0, 9), 1, 'it pauses again')
  nic.stopQueue(0)
  assert.equal(nic.receive(0, 9), 1)
  assert.equal(nic.paused, false)
  assert.equal(nic.counters.stats().rxQueues[0]?.rx_stopped, 1)
})

test('a faulty ring is dry, or its buffers are not mapped, as it was told', () => {
  for (const pause of [false, true]) {
    const { nic, link, drivers } = testNic({ pause })
    const driver = drivers[0] ?? assert.fail()
    driver.post(200)
    nic.startQueue(0, faultyRxRing(driver.frontEnd, { seed: 1, dry: 1 }), SPLIT)
    link.put(udp(1))
    assert.equal(nic.receive(0, 9), pause ? 0 : 1)
    assert.deepEqual([nic.paused, nic.counters.paused], [pause, pause])
    nic.stopQueue(0)
    nic.startQueue(0, driver.frontEnd, SPLIT)
    assert.equal(nic.receive(0, 9), pause ? 1 : 0)
    assert.equal(driver.read().length, pause ? 1 : 0)
    assert.equal(nic.counters.paused, false)
  }
  const { nic, link, drivers } = testNic()
  const driver = drivers[0] ?? assert.fail()
  driver.post(200)
  nic.startQueue(0, faultyRxRing(driver.frontEnd, { seed: 1, unmapped: 1 }), SPLIT)
  link.put(udp(1))
  nic.receive(0, 9)
  assert.equal(nic.counters.stats().device.rx_dma_faults, 1)
  assert.equal(driver.untouched, true)
  assert.equal(driver.read().length, 0)
  assert.deepEqual([driver.faults, driver.posted.size], [1, 0], 'the driver has its buffer back')
  for (const part of [{ dry: -1 }, { dry: 1.5 }, { headerOverflow: Number.NaN }]) {
    const wrong = { seed: 1, ...part }
    assert.throws(() => faultyRxRing(driver.frontEnd, wrong), { code: 'NETMEM_OUT_OF_RANGE' })
  }
})

test('memory that is not mapped, or smaller than the descriptor says, is not written to', () => {
  const { nic, link, dma, driver } = oneQueue()
  driver.ring.post(0, 77, 0, 2048)
  driver.ring.post(1, driver.region, 1 << 20, 2048)
  driver.ring.flush()
  link.put(udp(1), udp(2), frame())
  assert.equal(receiveAll(nic, link, driver).length, 1)
  assert.equal(nic.counters.stats().device.rx_dma_faults, 2)
  assert.equal(driver.faults, 2)
  driver.post(200)
  link.put(udp(1))
  assert.equal(receiveAll(nic, link, driver).length, 1, 'the queue continues')
  for (const [offset, bytes] of [
    [-1, 100],
    [0, 0],
    [0, -5],
    [1 << 20, 1],
    [(1 << 20) - 10, 11],
  ] as const) {
    const one = oneQueue()
    one.driver.ring.post(0, one.driver.region, offset, bytes)
    one.driver.ring.flush()
    one.link.put(udp(1))
    one.nic.receive(0, 9)
    assert.equal(one.nic.counters.stats().device.rx_dma_faults, 1)
    assert.ok(one.driver.untouched)
    assert.equal(one.driver.read().length, 0)
    assert.equal(one.driver.faults, 1)
  }
  for (const [region, offset] of [
    [77, 0],
    [-5, 0],
    [0, NaN],
    [0, -128],
    [0, 1000],
  ] as const) {
    const one = testNic()
    const header = one.dma.map(new Uint8Array(1024))
    const pages = [{ region: region === 0 ? header : region, offset, buffers: 4 }]
    const frontEnd = new NicRxRing(createRxRings(4, { bytes: 128, pages }, createDoorbell()))
    if (region < 0) {
      assert.throws(() => one.nic.startQueue(0, frontEnd, SPLIT), { code: 'NETMEM_NIC_CONFIG' })
      continue
    }
    one.nic.startQueue(0, frontEnd, SPLIT)
    one.link.put(frame())
    one.nic.receive(0, 9)
    assert.equal(one.nic.counters.stats().device.rx_dma_faults, 1)
    assert.equal(frontEnd.room(), 3, 'it has a completion without a buffer')
    assert.deepEqual(one.dma.memory(header), new Uint8Array(1024))
  }
  const late = oneQueue()
  late.driver.post(200, 200)
  late.link.put(udp(1))
  assert.equal(receiveAll(late.nic, late.link, late.driver).length, 1)
  late.dma.unmap(late.driver.region)
  late.link.put(udp(1))
  assert.equal(receiveAll(late.nic, late.link, late.driver).length, 0)
  assert.equal(late.nic.counters.stats().device.rx_dma_faults, 1)
  assert.equal(dma.memory(driver.region)?.length, 1 << 20)
})

test('queues start and stop on their own; nothing is written after a stop', () => {
  const { nic, link, drivers } = testNic({ queues: 2 })
  const [first, second] = drivers
  assert.ok(first !== undefined && second !== undefined)
  first.post(256, 256)
  second.post(256, 256, 256)
  nic.startQueue(0, first.frontEnd, SPLIT)
  nic.startQueue(1, second.frontEnd, UNSPLIT)
  nic.steering.setRssTable(Array.from({ length: 128 }, () => 1))
  nic.steering.addRule({
    protocol: 'udp',
    destinationAddress: Uint8Array.of(10, 0, 0, 2),
    destinationPort: 1,
    queue: 0,
  })
  link.put(udp(1), udp(2), arp())
  assert.equal(nic.receive(0, 9), 3)
  assert.deepEqual([first.read().length, second.read().length], [1, 2])
  nic.stopQueue(0)
  nic.stopQueue(0)
  link.put(udp(1), udp(2))
  assert.equal(nic.receive(0, 9), 2)
  assert.deepEqual([first.read().length, second.read().length], [0, 1])
  assert.ok(first.untouched)
  assert.equal(first.posted.size, 1)
  const { rx_stopped, rx_hw_drops } = nic.counters.stats().device
  assert.deepEqual([rx_stopped, rx_hw_drops], [1, 1])
  nic.startQueue(0, first.frontEnd, UNSPLIT)
  link.put(udp(1))
  assert.equal(nic.receive(0, 9), 1)
  assert.equal(first.read()[0]?.header.length, 0)
})

test('what startQueue refuses', () => {
  const { nic, drivers } = testNic({ queues: 1 })
  const frontEnd = drivers[0]?.frontEnd
  const bare = testNic({}, { headerBytes: 0 }).drivers[0]?.frontEnd
  assert.ok(frontEnd !== undefined && bare !== undefined)
  const code =
    (expected: string) => (error: { readonly code?: unknown; readonly errno?: unknown }) =>
      `${error.code} ${error.errno}` === expected
  assert.throws(() => nic.startQueue(1, frontEnd, SPLIT), code('NETMEM_NIC_CONFIG EINVAL'))
  assert.throws(() => nic.startQueue(-1, frontEnd, SPLIT), code('NETMEM_NIC_CONFIG EINVAL'))
  assert.throws(() => nic.startQueue(0.5, frontEnd, SPLIT), code('NETMEM_NIC_CONFIG EINVAL'))
  assert.throws(() => nic.stopQueue(1), code('NETMEM_NIC_CONFIG EINVAL'))
  assert.throws(() => nic.startQueue(0, bare, SPLIT), code('NETMEM_NIC_CONFIG EINVAL'))
  assert.throws(
    () => nic.startQueue(0, frontEnd, { ...UNSPLIT, boundToDevice: true }),
    code('NETMEM_BIND_HEADER_SPLIT EINVAL'),
  )
  assert.throws(
    () => nic.startQueue(0, frontEnd, { ...SPLIT, splitThresholdBytes: -1 }),
    code('NETMEM_OUT_OF_RANGE undefined'),
  )
  const { coalesce: _, ...partOfIt } = SPLIT
  // @ts-expect-error of a caller without a compiler
  assert.throws(() => nic.startQueue(0, frontEnd, partOfIt), /boolean/)
  // @ts-expect-error no such way to split
  assert.throws(() => nic.startQueue(0, frontEnd, { ...SPLIT, split: 'x' }), /'headers'/)
  nic.startQueue(0, frontEnd, SPLIT)
  assert.throws(() => nic.startQueue(0, frontEnd, SPLIT), code('NETMEM_NIC_BUSY EBUSY'))
})

test('frames too short for an Ethernet header are counted and dropped', () => {
  const { nic, link, driver } = oneQueue()
  driver.post(200)
  link.put(new Uint8Array(0), new Uint8Array(13), new Uint8Array(14))
  assert.deepEqual(
    receiveAll(nic, link, driver).map(({ pieces }) => pieces),
    [[new Uint8Array(14)]],
  )
  assert.equal(nic.counters.stats().device.rx_length_errors, 2)
})

test('features and statistics cross a postMessage', () => {
  const { nic } = testNic({ queues: 2, pause: true })
  for (const data of [nic.features, nic.counters.stats()]) {
    assert.deepEqual(structuredClone(data), data)
  }
  assert.equal(nic.features.pause, true)
  assert.equal(nic.counters.stats().txQueues.length, 2)
  const { memory } = nic.counters
  const read = new NicCounters(2, 2, memory)
  assert.deepEqual(read.stats(), nic.counters.stats(), 'all 0 at first')
  for (const [at, counters] of [nic.counters.device, ...nic.counters.rx].entries()) {
    for (let place = 0; place < 3; place++) counters.add(place, 10 * at + place)
  }
  const { device, rxQueues } = read.stats()
  assert.deepEqual([device.rx_steered, device.tx_pause_frames, device.rx_bytes], [1, 2, 32])
  assert.deepEqual([rxQueues[0]?.rx_packets, rxQueues[1]?.rx_packets], [10, 20])
})
