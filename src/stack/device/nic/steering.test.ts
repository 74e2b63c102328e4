import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RxQueueConfig, SteeringRule } from '../../rings/nic-types.ts'
import { address, arp, type FrameSpec, frame, pattern } from './frames.test.helper.ts'
import { SPLIT, testNic, UNSPLIT } from './nic.test.helper.ts'
import { spreadRss } from './steering.ts'

const THREE: SteeringRule = {
  protocol: 'tcp',
  destinationAddress: address(4, 2),
  destinationPort: 80,
  queue: 1,
}
const FIVE: SteeringRule = { ...THREE, source: { address: address(4, 1), port: 1000 }, queue: 2 }

/** A NIC of four queues, and which of them frames come to. */
function four(): {
  readonly nic: ReturnType<typeof testNic>['nic']
  readonly queuesOf: (...frames: readonly Uint8Array[]) => number[]
} {
  const { nic, link, drivers } = testNic({ queues: 4 })
  for (const [queue, driver] of drivers.entries()) {
    nic.startQueue(queue, driver.frontEnd, UNSPLIT)
    driver.post(...new Array<number>(64).fill(256))
  }
  const queueOf = (bytes: Uint8Array): number => {
    link.put(bytes)
    assert.equal(nic.receive(0, 9), 1)
    const read = drivers.map((driver) => driver.read().length)
    assert.equal(
      read.reduce((sum, one) => sum + one),
      1,
    )
    const queue = read.indexOf(1)
    drivers[queue]?.post(256)
    return queue
  }
  return { nic, queuesOf: (...frames) => frames.map(queueOf) }
}

const to = (spec: FrameSpec = {}): Uint8Array => frame({ payload: pattern(9), ...spec })

test('a rule of five values goes before one of three, that before RSS', () => {
  const { nic, queuesOf } = four()
  nic.setRssTable(spreadRss([3]))
  assert.deepEqual(queuesOf(to()), [3])
  const three = nic.addRule(THREE)
  const five = nic.addRule(FIVE)
  const frames = [
    to(),
    to({ sourcePort: 1001 }),
    to({ source: 9 }),
    to({ destinationPort: 81 }),
    to({ destination: 3 }),
    to({ protocol: 'udp' }),
    to({ ipVersion: 6 }),
    to({ fragment: true }),
    arp(),
  ]
  assert.deepEqual(queuesOf(...frames), [2, 1, 1, 3, 3, 3, 3, 3, 3])
  assert.equal(nic.counters.stats().device.rx_steered, 3)
  nic.removeRule(three)
  assert.deepEqual(queuesOf(...frames.slice(0, 2)), [2, 3])
  nic.removeRule(five)
  assert.deepEqual(queuesOf(...frames.slice(0, 2)), [3, 3])
  assert.throws(() => nic.removeRule(five), { code: 'NETMEM_NIC_CONFIG' })
})

test('IPv6 rules, and both protocols to one port', () => {
  const { nic, queuesOf } = four()
  nic.setRssTable(spreadRss([0]))
  nic.addRule({ ...THREE, destinationAddress: address(6, 2) })
  nic.addRule({ ...THREE, protocol: 'udp', destinationAddress: address(6, 2), queue: 2 })
  nic.addRule({
    ...FIVE,
    destinationAddress: address(6, 2),
    source: { address: address(6, 1), port: 7 },
    queue: 3,
  })
  assert.deepEqual(
    queuesOf(
      to({ ipVersion: 6 }),
      to({ ipVersion: 6, protocol: 'udp' }),
      to({ ipVersion: 6, sourcePort: 7 }),
      to(),
    ),
    [1, 2, 3, 0],
  )
})

test('a flow stays on its queue; flows spread over the queues of the table and no others', () => {
  const { nic, queuesOf } = four()
  const flows = Array.from({ length: 60 }, (_, at) => to({ sourcePort: 5000 + at }))
  const first = queuesOf(...flows)
  assert.deepEqual(new Set(first), new Set([0, 1, 2, 3]))
  assert.deepEqual(queuesOf(...flows), first)
  nic.setRssTable(spreadRss([0, 2]))
  assert.deepEqual(new Set(queuesOf(...flows)), new Set([0, 2]))
})

test('an RSS table with an unknown queue or of another size is refused, and nothing changes', () => {
  const { nic } = four()
  const before = nic.rssTable
  assert.deepEqual(before, spreadRss([0, 1, 2, 3]))
  for (const wrong of [4, -1, 0.5, NaN]) {
    const table = [...before.slice(1), wrong]
    assert.throws(() => nic.setRssTable(table), { code: 'NETMEM_NIC_CONFIG', errno: 'EINVAL' })
  }
  assert.throws(() => nic.setRssTable([0]), { code: 'NETMEM_NIC_CONFIG' })
  assert.deepEqual(nic.rssTable, before)
})

test('which rules are refused', () => {
  const { nic } = four()
  nic.addRule(THREE)
  nic.addRule(FIVE)
  for (const twice of [THREE, FIVE, { ...THREE, queue: 2 }]) {
    assert.throws(() => nic.addRule(twice), { code: 'NETMEM_NIC_CONFIG', errno: 'EEXIST' })
  }
  for (const wrong of [
    { ...THREE, queue: 4 },
    { ...THREE, destinationAddress: new Uint8Array(5) },
    { ...THREE, source: { address: address(6, 1), port: 1 } },
  ]) {
    assert.throws(() => nic.addRule(wrong), { code: 'NETMEM_NIC_CONFIG', errno: 'EINVAL' })
  }
  // @ts-expect-error an address as bytes
  assert.throws(() => nic.addRule({ ...THREE, destinationAddress: '10.0.0.1' }), /Uint8Array/)
  // @ts-expect-error no such protocol
  assert.throws(() => nic.addRule({ ...THREE, protocol: 'sctp' }), { code: 'NETMEM_NIC_CONFIG' })
  assert.throws(() => nic.addRule({ ...THREE, destinationPort: 65536 }), {
    code: 'NETMEM_OUT_OF_RANGE',
  })
  for (let port = 1; port <= 1022; port++) nic.addRule({ ...THREE, destinationPort: 1000 + port })
  assert.throws(() => nic.addRule({ ...THREE, destinationPort: 1 }), { errno: 'ENOSPC' })
  nic.removeRule(0)
  assert.equal(nic.addRule({ ...THREE, destinationPort: 1 }), 0, 'the lowest free location')
})

test('a rule is what it was when it was added', () => {
  const { nic, queuesOf } = four()
  nic.setRssTable(spreadRss([3]))
  const destinationAddress = address(4, 2)
  nic.addRule({ ...THREE, destinationAddress })
  destinationAddress[3] = 9
  assert.deepEqual(queuesOf(to()), [1])
})

const BOUND: RxQueueConfig = { ...SPLIT, boundToDevice: true }

test('bound queues leave the RSS table and come back; rules reach them all the same', () => {
  const { nic, drivers } = testNic({ queues: 4 })
  const start = (queue: number, config: RxQueueConfig): void => {
    nic.stopQueue(queue)
    const { frontEnd } = drivers[queue] ?? assert.fail()
    nic.startQueue(queue, frontEnd, config)
  }
  const whole = spreadRss([0, 1, 2, 3])
  for (const queue of [0, 1, 2, 3]) start(queue, SPLIT)
  assert.deepEqual(nic.rssTable, whole)
  start(1, BOUND)
  // What it had goes to the others in turn, what they had stays.
  const others = [0, 2, 3]
  const without = whole.map((queue, entry) =>
    queue === 1 ? (others[((entry - 1) / 4) % 3] ?? 0) : queue,
  )
  assert.deepEqual(nic.rssTable, without)
  nic.stopQueue(1)
  assert.deepEqual(nic.rssTable, without, 'until it is started unbound')
  start(1, SPLIT)
  assert.deepEqual(nic.rssTable, whole)
  // A table that names bound queues counts when they are bound no longer.
  start(2, BOUND)
  nic.setRssTable(spreadRss([2, 3]))
  assert.deepEqual(nic.rssTable, spreadRss([3]), 'to queues of the table')
  start(3, BOUND)
  assert.deepEqual(nic.rssTable, spreadRss([0, 1]), 'to any where the table names no other')
  start(0, BOUND)
  start(1, BOUND)
  assert.deepEqual(nic.rssTable, spreadRss([2, 3]), 'all are bound')
  assert.throws(() => nic.setRssTable([4]), { code: 'NETMEM_NIC_CONFIG' })
  start(2, SPLIT)
  assert.deepEqual(nic.rssTable, spreadRss([2]))
  start(3, SPLIT)
  assert.deepEqual(nic.rssTable, spreadRss([2, 3]))
})

test('a queue that fails to start bound stays in the table; a bound one gets what rules send it', () => {
  const { nic, link, drivers } = testNic({ queues: 2 })
  const start = (queue: number, config: RxQueueConfig): void => {
    const driver = drivers[queue]
    assert.ok(driver !== undefined)
    nic.startQueue(queue, driver.frontEnd, config)
    driver.post(...new Array<number>(64).fill(256))
  }
  assert.throws(() => start(1, { ...BOUND, split: 'off' }), { code: 'NETMEM_BIND_HEADER_SPLIT' })
  assert.deepEqual(nic.rssTable, spreadRss([0, 1]))
  start(0, SPLIT)
  start(1, BOUND)
  nic.addRule(THREE)
  const flows = Array.from({ length: 40 }, (_, at) => to({ destinationPort: 5000 + at }))
  link.put(...flows, to(), arp())
  nic.receive(0, Infinity)
  assert.deepEqual(
    drivers.map((driver) => driver.read().length),
    [41, 1],
  )
})
