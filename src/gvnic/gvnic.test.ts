import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frame, pattern } from '../stack/device/nic/frames.test.helper.ts'
import { MAC, openCard, testCard } from './gvnic.test.helper.ts'
import { Gvnic } from './gvnic.ts'
import { setAddressLe } from './testing/driver-rx.test.helper.ts'

test('a driver probes the card and learns what it is', () => {
  const { card, driver } = testCard({ queues: 3, mtu: 4000 })
  driver.probe()
  const { mac, mtu, defaultQueues, rxEntries, txEntries, options } = driver.facts
  assert.deepEqual(mac, MAC)
  assert.deepEqual([mtu, defaultQueues, rxEntries, txEntries], [4000, 3, 512, 512])
  assert.deepEqual([...options.keys()], [4, 8, 0xa, 0xb, 6])
  const fields = [...options.values()].map((body) =>
    Array.from({ length: body.byteLength / 2 }, (_, at) => body.getUint16(2 * at)),
  )
  assert.deepEqual(fields, [
    [0, 0b0011_0101, 0, 0],
    [0, 4, 4000, 0],
    [0, 0x10, 4096, 128],
    [0, 0x20, 0, 0, 0, 64],
    [0, 1, 2048, 2048, 256, 256],
  ])
  assert.equal(driver.admin.linkUp, true)
  assert.equal(card.msix.vectors, 7)
  const { running, driverName, driverVersion, commands } = card.state
  assert.deepEqual([running, driverName, driverVersion], [true, 'netmem', 'netmem-model-1.0'])
  assert.deepEqual(commands, { done: 6, refused: 0, faults: 0 })
})

test('frames arrive in the buffers that the driver posted, whole', () => {
  const { card, driver, link } = openCard()
  const frames = [frame({ payload: pattern(100) }), frame({ payload: pattern(1400) })]
  link.put(...frames)
  assert.equal(card.poll(0), 2)
  const packets = driver.poll()
  assert.deepEqual(
    packets.map(({ payload }) => payload),
    frames,
  )
  for (const packet of packets) {
    assert.deepEqual([packet.headers.length, packet.buffers, packet.verified], [0, 1, true])
    assert.deepEqual([packet.packetType, packet.segmentBytes], [2, 0])
    assert.notEqual(packet.hash, 0)
  }
})

test('header split leaves headers and payload apart', () => {
  const { card, driver, link } = openCard({ split: true })
  const bytes = frame({ payload: pattern(5000) })
  const udp = frame({ protocol: 'udp', payload: pattern(100) })
  link.put(bytes, frame({ payload: new Uint8Array() }), udp)
  card.poll(0)
  const [packet, bare, datagram] = driver.poll()
  assert.deepEqual(packet?.headers, bytes.subarray(0, 54))
  assert.deepEqual(packet?.payload, bytes.subarray(54))
  assert.equal(packet?.buffers, 3)
  // The driver takes no completion without a buffer.
  assert.deepEqual([bare?.headers.length, bare?.payload.length, bare?.buffers], [54, 0, 1])
  assert.deepEqual([datagram?.headers.length, datagram?.payload], [0, udp], 'TCP alone is split')
})

test('rings go round many times, and no buffer is lost', () => {
  const { card, driver, link } = openCard({ entries: 256 }, { queues: 1 })
  const bytes = frame({ payload: pattern(3000) })
  for (let round = 0; round < 300; round++) {
    link.put(bytes, bytes, bytes)
    assert.equal(card.poll(0), 3)
    const packets = driver.poll()
    assert.equal(packets.length, 3)
    assert.deepEqual(packets[2]?.payload, bytes)
  }
  assert.equal(card.stats.device.rx_hw_drops, 0)
})

test('without buffers frames are dropped and counted, and buffers end it', () => {
  const { card, driver, link } = openCard({ entries: 256 }, { queues: 1 })
  const bytes = frame({ payload: pattern(100) })
  for (let at = 0; at < 300; at++) link.put(bytes)
  while (link.left > 0) card.poll(0)
  // The driver rings at multiples of 32 alone.
  assert.equal(driver.poll().length, 224)
  link.put(bytes)
  card.poll(1e9)
  assert.equal(driver.poll().length, 1)
  assert.deepEqual(driver.nicStats(), [76, 76, 0, 0])
})

test('packets beyond the MTU are dropped and counted, tags do not count, and large frames count by segment', () => {
  const { card, driver, link } = openCard({ coalesce: true }, { queues: 1, mtu: 1500 })
  const fits = frame({ payload: pattern(1460) })
  const tagged = frame({ payload: pattern(1460), vlan: 7 })
  link.put(frame({ payload: pattern(1461) }), fits, tagged)
  link.put({ bytes: frame({ payload: pattern(1461), vlan: 7 }) })
  link.put({ bytes: frame({ payload: pattern(2920) }), checksum: 'partial', segmentBytes: 1460 })
  link.put({ bytes: frame({ payload: pattern(2922) }), checksum: 'partial', segmentBytes: 1461 })
  while (link.left > 0) card.poll(0)
  const lengths = driver.poll().map(({ payload }) => payload.length)
  assert.deepEqual(lengths, [fits.length, tagged.length, 54 + 2920])
  card.poll(1e9)
  assert.deepEqual(driver.nicStats(), [3, 0, 3, 0])
})

test('a queue is interrupted once, until its driver arms it', () => {
  const { card, driver, link } = openCard({}, { queues: 1 })
  const { interrupts } = driver
  const bytes = frame({ payload: pattern(100) })
  const block = driver.rxBlock(0)
  link.put(bytes)
  card.poll(0)
  link.put(bytes)
  card.poll(0)
  assert.equal(interrupts[block], 1)
  driver.arm(block)
  assert.equal(interrupts[block], 2, 'the frame that came before it was armed')
  driver.arm(block)
  assert.equal(interrupts[block], 2)
})

test('a packet goes out with its checksums completed, and is completed by its tag', () => {
  const { card, driver, link } = openCard()
  const bytes = frame({ payload: pattern(700) })
  const raw = bytes.slice()
  raw.fill(0, 50, 52)
  const tag = driver.send(1, raw, { checksum: true })
  assert.notEqual(tag, -1)
  assert.equal(card.poll(0), 1)
  assert.deepEqual(link.sent, [bytes])
  driver.poll()
  assert.deepEqual([driver.tx[1]?.completed, driver.tx[1]?.pending], [1, 0])
})

test('a piece that crosses the border of two regions is sent whole', () => {
  const regionBytes = 2 ** 22
  const { card, driver, link } = openCard({}, { queues: 1 }, { regionBytes, regions: 2 })
  const bytes = frame({ payload: pattern(1400) })
  const address = driver.memory.base + regionBytes - 600
  driver.memory.write(address, bytes)
  driver.sendPieces(0, [{ address, bytes: bytes.length }])
  card.poll(0)
  assert.deepEqual(link.sent, [bytes])
})

test('transmit rings go round many times, and the driver learns how far the card has read', () => {
  const { card, driver, link } = openCard({ entries: 256 }, { queues: 1 })
  const bytes = frame({ payload: pattern(64) })
  const address = driver.memory.allocate(bytes.length)
  driver.memory.write(address, bytes)
  const pieces = [
    { address, bytes: 54 },
    { address: address + 54, bytes: bytes.length - 54 },
  ]
  for (let sent = 0; sent < 2000; sent++) {
    assert.notEqual(driver.sendPieces(0, pieces), -1)
    card.poll(0)
    driver.poll()
  }
  assert.equal(link.sent.length, 2000)
  assert.equal(driver.tx[0]?.completed, 2000)
  assert.ok((driver.tx[0]?.reports ?? 0) >= 2000 / 12)
})

test('a packet in memory that the guest has not is dropped and completed, and the next is sent', () => {
  const { card, driver, link } = openCard({}, { queues: 1 })
  const bytes = frame({ payload: pattern(64) })
  driver.sendPieces(0, [{ address: 0x1000, bytes: 64 }])
  driver.send(0, bytes)
  card.poll(0)
  assert.deepEqual(link.sent, [bytes])
  driver.poll()
  assert.equal(driver.tx[0]?.completed, 2)
  assert.equal(card.stats.device.tx_dma_faults, 1)
})

test('a piece in two places is sent, and one in three is dropped', () => {
  const bytes = frame({ payload: pattern(64) })
  for (const [room, sent] of [
    [bytes.length / 2, 1],
    [bytes.length / 2 - 1, 0],
  ] as const) {
    const { card, driver, link } = openCard({}, { queues: 1 })
    driver.send(0, bytes)
    const { memory } = driver
    const find = memory.locate.bind(memory)
    memory.locate = (address, length, write) => find(address, Math.min(length, room), write)
    card.poll(0)
    assert.deepEqual([link.sent.length, card.stats.device.tx_dma_faults], [sent, 1 - sent])
  }
})

test('a buffer that the card may not write, or not all of, comes back with an error', () => {
  const bytes = frame({ payload: pattern(100) })
  for (const writable of [0, 2047]) {
    const { card, driver, link } = openCard({}, { queues: 1 })
    driver.send(0, bytes)
    const { memory } = driver
    const find = memory.locate.bind(memory)
    memory.locate = (address, length, write) =>
      write && writable === 0 ? 0 : find(address, Math.min(length, writable || length), write)
    link.put(bytes)
    card.poll(0)
    memory.locate = find
    driver.poll()
    assert.deepEqual([driver.rx[0]?.errors, link.sent.length], [1, 1])
  }
})

test('frames for a card whose link is down are lost, 64 in a turn, and it sends none', () => {
  const { card, driver, link } = openCard()
  const bytes = frame({ payload: pattern(100) })
  card.linkUp = false
  for (let at = 0; at < 65; at++) link.put(bytes)
  driver.send(0, bytes)
  assert.deepEqual([card.poll(0), card.poll(0), card.poll(0)], [64, 1, 0])
  assert.deepEqual([link.sent.length, driver.poll().length], [0, 0])
})

test('frames that wait for buffers wait for queues, too', () => {
  const { card, driver, link } = testCard({ pause: true })
  driver.probe()
  link.put(frame({ payload: pattern(100) }))
  assert.deepEqual([card.poll(0), link.left], [0, 1])
  driver.open()
  card.poll(0)
  assert.equal(driver.poll().length, 1)
})

test('one receive queue is restarted alone', () => {
  const { card, driver, link } = openCard({}, { queues: 2 })
  const bytes = frame({ payload: pattern(100) })
  link.put(bytes)
  card.poll(0)
  const queue = driver.poll()[0]?.queue ?? -1
  for (let round = 0; round < 3; round++) {
    driver.restartRx(queue)
    link.put(bytes)
    card.poll(0)
    const [packet] = driver.poll()
    assert.deepEqual([packet?.queue, packet?.payload], [queue, bytes])
  }
})

test('a reset forgets everything, and the driver begins anew', () => {
  const { card, driver, link } = openCard()
  const bytes = frame({ payload: pattern(100) })
  driver.admin.release()
  assert.equal(driver.admin.linkUp, false)
  assert.deepEqual([card.state.running, card.state.rxQueues], [false, []])
  driver.start()
  driver.open()
  assert.equal(driver.admin.linkUp, true)
  link.put(bytes)
  card.poll(0)
  assert.equal(driver.poll().length, 1)
  driver.close()
  assert.deepEqual([card.state.rxQueues, card.state.txQueues], [[], []])
})

test('a change of the link interrupts the driver by the management vector', () => {
  const { card, driver } = openCard({}, { queues: 2 })
  card.linkUp = false
  assert.equal(driver.admin.linkUp, false)
  card.linkUp = false
  card.linkUp = true
  assert.equal(driver.admin.linkUp, true)
  assert.equal(driver.interrupts[4], 2)
})

test('a machine that goes takes its memory along, and another may come', () => {
  const { card, driver, link } = openCard()
  card.detach()
  link.put(frame({ payload: pattern(100) }))
  card.poll(0)
  assert.equal(card.state.running, false)
  driver.probe()
  driver.open()
  card.poll(0)
  assert.deepEqual(driver.poll(), [], 'the next one gets nothing of its frames')
  link.put(frame({ payload: pattern(100) }))
  card.poll(0)
  assert.equal(driver.poll().length, 1)
})

test('a card shows a finished reset before its first machine, and nothing of the last one', () => {
  const { card, driver } = testCard()
  const { admin } = driver
  assert.equal(admin.register(0x00), 0x10)
  driver.probe()
  card.write(0, 0x1f, 1, 0x41)
  card.detach()
  assert.deepEqual([card.state.driverVersion, card.state.driverName], ['', ''])
  driver.probe()
  assert.equal(card.state.driverVersion, 'netmem-model-1.0')
  admin.release()
  assert.equal(
    card.state.driverVersion,
    'netmem-model-1.0',
    'gve writes it once, when it is loaded',
  )
})

test('a name of the driver with escape sequences is shown as its letters alone', () => {
  const { card, driver } = testCard()
  driver.probe()
  for (const byte of [0x1b, 0x5d, 0x07, 0x80, 0xff, 0x7a, 10]) card.write(0, 0x1f, 1, byte)
  assert.equal(card.state.driverVersion, '?]???z')
  const info = driver.memory.allocate(304)
  driver.memory.view(info, 304).setUint32(20, 0xff)
  driver.memory.write(info + 48, Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a))
  driver.admin.pass(0xf, (args) => {
    args.setUint32(4, 304)
    args.setUint32(8, Math.floor(info / 2 ** 32))
    args.setUint32(12, info % 2 ** 32)
  })
  assert.equal(card.state.driverName, '?[2J')
})

test('a turn that sends nothing of what it looked at is not the last', () => {
  const { card, driver, link } = openCard({ entries: 256 })
  const unmapped = 2 ** 40
  let posted = 0
  while (driver.sendPieces(0, [{ address: unmapped, bytes: 2 ** 14 }]) !== -1) posted++
  assert.ok(posted * 2 ** 14 > 2 * 2 ** 18, 'it takes more than two turns')
  while (card.poll(0) > 0);
  driver.poll()
  assert.deepEqual([driver.tx[0]?.pending, link.sent.length], [0, 0])
})

test('a turn sends 256 KiB at the most, of all queues in turn', () => {
  const { card, driver, link } = openCard({ entries: 256 }, { queues: 3 })
  const bytes = 2 ** 16
  let posted = 0
  for (const { queue } of driver.tx) {
    const address = driver.memory.allocate(bytes)
    driver.memory.write(address, Uint8Array.of(queue))
    while (driver.sendPieces(queue, [{ address, bytes }]) !== -1) posted++
  }
  const turns: number[][] = []
  for (let before = 0; card.poll(0) > 0; before = link.sent.length) {
    turns.push(link.sent.slice(before).map(([queue = -1]) => queue))
  }
  assert.equal(link.sent.length, posted)
  assert.deepEqual(turns.slice(0, 4), [
    [0, 0, 0, 0],
    [1, 1, 1, 1],
    [2, 2, 2, 2],
    [0, 0, 0, 0],
  ])
  driver.poll()
  assert.ok(driver.tx.every(({ pending }) => pending === 0))
})

test('options outside their range are refused', () => {
  const { link } = testCard()
  const refused = { code: 'NETMEM_OUT_OF_RANGE' }
  assert.throws(() => new Gvnic({ link, mac: MAC, queues: 0 }), refused)
  assert.throws(() => new Gvnic({ link, mac: MAC, queues: 17 }), refused)
  assert.throws(() => new Gvnic({ link, mac: MAC, mtu: 9001 }), refused)
  const invalid = { code: 'NETMEM_INVALID_ARGUMENT' }
  assert.throws(() => new Gvnic({ link, mac: MAC.subarray(1) }), invalid)
})

test('buffers outside the guest’s memory come back with an error, and the queue continues', () => {
  const { card, driver, link } = openCard({}, { queues: 1 })
  const [rx] = driver.rx
  assert.ok(rx !== undefined)
  const bytes = frame({ payload: pattern(100) })
  const { memory } = driver
  for (const descriptor of [0, 1, 2]) {
    memory.view(rx.buffers + 32 * descriptor, 32).setUint32(12, 0xffff_ffff, true)
  }
  // A buffer whose last byte is outside.
  setAddressLe(memory.view(rx.buffers + 32 * 3, 32), 8, memory.base + memory.bytes - 2047)
  for (let at = 0; at < 6; at++) link.put(bytes)
  card.poll(0)
  const packets = driver.poll()
  assert.equal(rx.errors, 4)
  assert.deepEqual(packets.at(-1)?.payload, bytes)
  link.put(bytes)
  card.poll(0)
  assert.equal(driver.poll().length, 1)
})
