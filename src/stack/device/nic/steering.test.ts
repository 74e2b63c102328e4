import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../../testing/fast-check.test.helper.ts'
import { createToeplitzTable, DEFAULT_RSS_KEY, toeplitzHash } from '../../../wire/toeplitz.ts'
import type { RxQueueConfig, SteeringRule } from '../../rings/nic-types.ts'
import { address, arp, type FrameSpec, frame, layoutOf, pattern } from './frames.test.helper.ts'
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
  nic.steering.setRssTable(spreadRss([3]))
  assert.deepEqual(queuesOf(to()), [3])
  const three = nic.steering.addRule(THREE)
  const five = nic.steering.addRule(FIVE)
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
  nic.steering.removeRule(three)
  assert.deepEqual(queuesOf(...frames.slice(0, 2)), [2, 3])
  nic.steering.removeRule(five)
  assert.deepEqual(queuesOf(...frames.slice(0, 2)), [3, 3])
  assert.throws(() => nic.steering.removeRule(five), { code: 'NETMEM_NIC_CONFIG' })
})

test('IPv6 rules, and both protocols to one port', () => {
  const { nic, queuesOf } = four()
  nic.steering.setRssTable(spreadRss([0]))
  nic.steering.addRule({ ...THREE, destinationAddress: address(6, 2) })
  nic.steering.addRule({ ...THREE, protocol: 'udp', destinationAddress: address(6, 2), queue: 2 })
  nic.steering.addRule({
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
  nic.steering.setRssTable(spreadRss([0, 2]))
  assert.deepEqual(new Set(queuesOf(...flows)), new Set([0, 2]))
})

test('an RSS table with an unknown queue or of another size is refused, and nothing changes', () => {
  const { nic } = four()
  const before = nic.steering.rssTable
  assert.deepEqual(before, spreadRss([0, 1, 2, 3]))
  for (const wrong of [4, -1, 0.5, NaN]) {
    const table = [...before.slice(1), wrong]
    assert.throws(() => nic.steering.setRssTable(table), {
      code: 'NETMEM_NIC_CONFIG',
      errno: 'EINVAL',
    })
  }
  assert.throws(() => nic.steering.setRssTable([0]), { code: 'NETMEM_NIC_CONFIG' })
  assert.deepEqual(nic.steering.rssTable, before)
})

test('which rules are refused', () => {
  const { nic } = four()
  nic.steering.addRule(THREE)
  nic.steering.addRule(FIVE)
  for (const twice of [THREE, FIVE, { ...THREE, queue: 2 }]) {
    assert.throws(() => nic.steering.addRule(twice), { code: 'NETMEM_NIC_CONFIG', errno: 'EEXIST' })
  }
  for (const wrong of [
    { ...THREE, queue: 4 },
    { ...THREE, destinationAddress: new Uint8Array(5) },
    { ...THREE, source: { address: address(6, 1), port: 1 } },
  ]) {
    assert.throws(() => nic.steering.addRule(wrong), { code: 'NETMEM_NIC_CONFIG', errno: 'EINVAL' })
  }
  assert.throws(
    // @ts-expect-error an address as bytes
    () => nic.steering.addRule({ ...THREE, destinationAddress: '10.0.0.1' }),
    /Uint8Array/,
  )
  // @ts-expect-error no such protocol
  assert.throws(() => nic.steering.addRule({ ...THREE, protocol: 'sctp' }), {
    code: 'NETMEM_NIC_CONFIG',
  })
  assert.throws(() => nic.steering.addRule({ ...THREE, destinationPort: 65536 }), {
    code: 'NETMEM_OUT_OF_RANGE',
  })
  for (let port = 1; port <= 1022; port++)
    nic.steering.addRule({ ...THREE, destinationPort: 1000 + port })
  assert.throws(() => nic.steering.addRule({ ...THREE, destinationPort: 1 }), { errno: 'ENOSPC' })
  nic.steering.removeRule(0)
  assert.equal(
    nic.steering.addRule({ ...THREE, destinationPort: 1 }),
    0,
    'the lowest free location',
  )
})

test('a rule is what it was when it was added', () => {
  const { nic, queuesOf } = four()
  nic.steering.setRssTable(spreadRss([3]))
  const destinationAddress = address(4, 2)
  nic.steering.addRule({ ...THREE, destinationAddress })
  destinationAddress[3] = 9
  assert.deepEqual(queuesOf(to()), [1])
})

test('binding a queue changes neither table nor rules', () => {
  const { nic, link, drivers } = testNic({ queues: 2 })
  const bound: RxQueueConfig = { ...SPLIT, boundToDevice: true }
  const start = (queue: number, config: RxQueueConfig): void => {
    const driver = drivers[queue]
    assert.ok(driver !== undefined)
    nic.startQueue(queue, driver.frontEnd, config)
    driver.post(...new Array<number>(64).fill(256))
  }
  assert.throws(() => start(1, { ...bound, split: 'off' }), { code: 'NETMEM_BIND_HEADER_SPLIT' })
  start(0, SPLIT)
  start(1, bound)
  assert.deepEqual(nic.steering.rssTable, spreadRss([0, 1]))
  nic.steering.setRssTable(spreadRss([0]))
  nic.steering.addRule(THREE)
  const flows = Array.from({ length: 40 }, (_, at) => to({ destinationPort: 5000 + at }))
  link.put(...flows, to(), arp())
  nic.receive(0, Infinity)
  assert.deepEqual(
    drivers.map((driver) => driver.read().length),
    [41, 1],
  )
})

test('rules by port alone, by one end, and by masks, in the order of their locations', () => {
  const { nic, queuesOf } = four()
  nic.steering.setRssTable(spreadRss([0]))
  const byPort = nic.steering.addRule({ protocol: 'tcp', destinationPort: 80, queue: 1 })
  assert.deepEqual(
    queuesOf(to(), to({ ipVersion: 6, destination: 9 }), to({ destinationPort: 81 })),
    [1, 1, 0],
  )
  assert.deepEqual(queuesOf(to({ protocol: 'udp' })), [0])
  nic.steering.removeRule(byPort)
  nic.steering.addRule({ protocol: 'tcp', ipVersion: 6, destinationPort: 80, queue: 1 })
  assert.deepEqual(queuesOf(to(), to({ ipVersion: 6 })), [0, 1])
  // A network of 10.0.0.0/29, and even ports from 1000 to 1007.
  nic.steering.addRule({
    protocol: 'udp',
    source: { address: address(4, 3), port: 1006 },
    masks: { sourceAddress: Uint8Array.of(255, 255, 255, 248), sourcePort: 0xfff9 },
    queue: 2,
    location: 9,
  })
  const udp = (source: number, sourcePort: number): Uint8Array =>
    to({ protocol: 'udp', source, sourcePort })
  const frames = [udp(1, 1000), udp(7, 1006), udp(8, 1000), udp(1, 1001), udp(1, 1008)]
  assert.deepEqual(queuesOf(...frames), [2, 2, 0, 0, 0])
  nic.steering.addRule({ protocol: 'udp', queue: 3, location: 5 })
  assert.deepEqual(queuesOf(...frames), [3, 3, 3, 3, 3], 'the lower location comes first')
  nic.steering.addRule({ ...THREE, protocol: 'udp', queue: 1, location: 11 })
  assert.deepEqual(queuesOf(udp(1, 1000)), [1], 'an exact rule comes before them')
})

test('rules are where they were told to be; a taken location is refused', () => {
  const { nic } = four()
  assert.equal(nic.steering.addRule({ ...THREE, location: 1023 }), 1023)
  assert.equal(nic.steering.addRule(FIVE), 0)
  assert.throws(() => nic.steering.addRule({ protocol: 'udp', queue: 0, location: 0 }), {
    errno: 'EEXIST',
  })
  assert.throws(() => nic.steering.addRule({ ...THREE, destinationPort: 9, location: 1024 }), {
    code: 'NETMEM_OUT_OF_RANGE',
  })
  // Masks of all bits make the same rule.
  const masks = { destinationPort: 0xffff, destinationAddress: new Uint8Array(4).fill(255) }
  assert.throws(() => nic.steering.addRule({ ...THREE, masks }), { errno: 'EEXIST' })
  for (const wrong of [
    { ...THREE, masks: { sourcePort: 1 } },
    { ...THREE, masks: { sourceAddress: new Uint8Array(4) } },
    { ...THREE, masks: { destinationAddress: new Uint8Array(16) } },
    { ...THREE, ipVersion: 6 as const },
  ]) {
    assert.throws(() => nic.steering.addRule(wrong), { code: 'NETMEM_NIC_CONFIG', errno: 'EINVAL' })
  }
  assert.throws(
    // @ts-expect-error no such version
    () => nic.steering.addRule({ protocol: 'tcp', ipVersion: 5, queue: 0 }),
    /ipVersion/,
  )
  nic.steering.removeRule(1023)
  nic.steering.removeRule(0)
  assert.equal(nic.steering.addRule({ protocol: 'udp', queue: 0, location: 7 }), 7)
})

test('any rules: the queue is the one that a plain search finds', () => {
  const one = fc.record({
    protocol: fc.constantFrom<'tcp' | 'udp'>('tcp', 'udp'),
    destination: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    destinationMask: fc.constantFrom(255, 255, 254, 0),
    destinationPort: fc.option(fc.integer({ min: 80, max: 83 }), { nil: undefined }),
    source: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    sourcePort: fc.option(fc.integer({ min: 80, max: 83 }), { nil: undefined }),
    portMask: fc.constantFrom(0xffff, 0xffff, 0xfffe, 0),
    queue: fc.nat(3),
  })
  const flow = fc.record({
    protocol: fc.constantFrom<'tcp' | 'udp'>('tcp', 'udp'),
    source: fc.integer({ min: 1, max: 4 }),
    destination: fc.integer({ min: 1, max: 4 }),
    sourcePort: fc.integer({ min: 80, max: 83 }),
    destinationPort: fc.integer({ min: 80, max: 83 }),
  })
  fc.assert(
    fc.property(
      fc.array(one, { maxLength: 12 }),
      fc.array(flow, { maxLength: 20 }),
      (rules, flows) => {
        const { nic, queuesOf } = four()
        const added: (typeof rules)[number][] = []
        for (const rule of rules) {
          const { protocol, destination, destinationPort, source, sourcePort, queue } = rule
          const mask = Uint8Array.of(255, 255, 255, rule.destinationMask)
          try {
            nic.steering.addRule({
              protocol,
              queue,
              ...(destination !== undefined && { destinationAddress: address(4, destination) }),
              ...(destinationPort !== undefined && { destinationPort }),
              source: {
                ...(source !== undefined && { address: address(4, source) }),
                ...(sourcePort !== undefined && { port: sourcePort }),
              },
              masks: {
                ...(destination !== undefined && { destinationAddress: mask }),
                ...(sourcePort !== undefined && { sourcePort: rule.portMask }),
              },
            })
            added.push(rule)
          } catch {
            // The NIC has such a rule already.
          }
        }
        const rank = (rule: (typeof rules)[number]): number => {
          const whole = rule.destination !== undefined && rule.destinationMask === 255
          if (!whole || rule.destinationPort === undefined) return 2
          const open = rule.sourcePort === undefined || rule.portMask === 0
          if (rule.source === undefined) return open ? 1 : 2
          return rule.sourcePort !== undefined && rule.portMask === 0xffff ? 0 : 2
        }
        const sorted = added.toSorted((a, b) => rank(a) - rank(b))
        for (const of of flows) {
          const { queue = -1 } =
            sorted.find(
              (rule) =>
                rule.protocol === of.protocol &&
                (rule.destination === undefined ||
                  ((rule.destination ^ of.destination) & rule.destinationMask) === 0) &&
                (rule.destinationPort ?? of.destinationPort) === of.destinationPort &&
                (rule.source ?? of.source) === of.source &&
                (rule.sourcePort === undefined ||
                  ((rule.sourcePort ^ of.sourcePort) & rule.portMask) === 0),
            ) ?? {}
          const before = nic.counters.stats().device.rx_steered
          const [got] = queuesOf(to(of))
          const steered = nic.counters.stats().device.rx_steered - before
          assert.equal(steered, queue < 0 ? 0 : 1)
          if (queue >= 0) assert.equal(got, queue)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('the host sets the RSS key; the hash is the one of that key', () => {
  const { nic, link, drivers } = testNic({ queues: 1 })
  const [driver] = drivers
  assert.ok(driver !== undefined)
  nic.startQueue(0, driver.frontEnd, UNSPLIT)
  driver.post(...new Array<number>(4).fill(256))
  assert.deepEqual(nic.steering.rssKey, new Uint8Array(DEFAULT_RSS_KEY))
  const key = pattern(40, 3)
  nic.steering.setRssKey(key)
  key.fill(0)
  assert.deepEqual(nic.steering.rssKey, pattern(40, 3))
  link.put(to(), to({ sourcePort: 9 }))
  nic.receive(0, 9)
  const table = createToeplitzTable(pattern(40, 3))
  const hashes = [to(), to({ sourcePort: 9 })].map(
    (bytes) => toeplitzHash(table, bytes, 0, layoutOf(bytes)) | 0,
  )
  assert.deepEqual(
    driver.read().map(({ hash }) => hash),
    hashes,
  )
  assert.notEqual(hashes[0], hashes[1])
  assert.throws(() => nic.steering.setRssKey(new Uint8Array(39)), { code: 'NETMEM_OUT_OF_RANGE' })
  // @ts-expect-error a key as bytes
  assert.throws(() => nic.steering.setRssKey([1]), { code: 'NETMEM_NIC_CONFIG' })
})
