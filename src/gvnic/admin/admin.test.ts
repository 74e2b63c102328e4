import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frame, pattern } from '../../stack/device/nic/frames.test.helper.ts'
import { fc } from '../../testing/fast-check.test.helper.ts'
import { openCard, testCard } from '../gvnic.test.helper.ts'
import { setAddress } from '../testing/admin-client.test.helper.ts'
import type { DriverModel } from '../testing/driver-model.test.helper.ts'
import { Opcode, Status } from './admin-layout.ts'

const NO_MEMORY = 0x10

function probed() {
  const made = testCard({ queues: 2 }, { regionBytes: 2 ** 25 })
  made.driver.probe()
  return made
}

/** Makes the command that changes a flow rule. */
function ruleCommand(rule: {
  readonly operation?: number
  readonly location?: number
  readonly type?: number
  readonly queue?: number
  readonly source?: readonly number[]
  readonly ports?: readonly [source: number, destination: number]
  readonly masks?: readonly [source: number, destination: number]
}): Uint8Array {
  const command = new Uint8Array(92)
  const view = new DataView(command.buffer)
  view.setUint16(0, rule.operation ?? 0)
  view.setUint16(4, rule.type ?? 0)
  view.setUint16(6, rule.queue ?? 0)
  if (rule.source !== undefined) {
    command.set(rule.source, 8)
    command.fill(0xff, 48, 48 + rule.source.length)
  }
  const [sourcePort, destinationPort] = rule.ports ?? [0, 0]
  const [sourceMask, destinationMask] = rule.masks ?? [0, rule.ports === undefined ? 0 : 0xffff]
  view.setUint16(8 + 32, sourcePort)
  view.setUint16(8 + 34, destinationPort)
  view.setUint16(48 + 32, sourceMask)
  view.setUint16(48 + 34, destinationMask)
  view.setUint32(88, rule.location ?? 0)
  return command
}

/** Asks for rules, locations or counts. Returns the header of the answer and what follows. */
function queryRules({ admin, memory }: DriverModel, kind: number, from = 0, room = 4096) {
  const address = memory.allocate(4096)
  admin.pass(Opcode.queryFlowRules, (args) => {
    args.setUint16(0, kind)
    args.setUint32(4, from)
    setAddress(args, 8, room)
    setAddress(args, 16, address)
  })
  const view = memory.view(address, 4096)
  const [count, places, told, bytes] = [0, 4, 8, 12].map((at) => view.getUint32(at))
  return { count, places, told, body: memory.memory(address + 16, (bytes ?? 16) - 16) }
}

test('the packet type map names IP and transport of each type', () => {
  const { driver } = probed()
  const map = driver.memory.allocate(2048)
  driver.admin.pass(Opcode.packetTypeMap, (args) => {
    setAddress(args, 0, 2048)
    setAddress(args, 8, map)
  })
  const layers = [...driver.memory.memory(map, 16)]
  assert.deepEqual(layers, [0, 0, 2, 0, 2, 2, 2, 3, 3, 0, 3, 2, 3, 3, 0, 0])
})

test('completions carry the types of the map', () => {
  const { card, driver, link } = openCard({}, { queues: 1 })
  for (const ipVersion of [4, 6] as const) {
    for (const protocol of ['tcp', 'udp', 'icmp'] as const) {
      link.put(frame({ ipVersion, protocol, payload: pattern(60) }))
    }
  }
  card.poll(0)
  const types = driver.poll().map(({ packetType, verified }) => [packetType, verified])
  assert.deepEqual(types, [
    [2, true],
    [3, true],
    [1, false],
    [5, true],
    [6, true],
    [4, false],
  ])
})

test('wrong checksums are told apart from those that were not verified', () => {
  const { card, driver, link } = openCard({}, { queues: 1 })
  const wrongIp = frame({ payload: pattern(60) })
  wrongIp[22] = 1
  link.put(frame({ payload: pattern(60), badChecksum: true }), wrongIp)
  card.poll(0)
  const seen = driver.poll().map(({ verified, ipError, l4Error }) => [verified, ipError, l4Error])
  assert.deepEqual(seen, [
    [false, false, true],
    [false, true, false],
  ])
  card.poll(1e9)
  assert.deepEqual(driver.nicStats(), [0, 0, 0, 2])
})

test('the RSS key and table are told as they were set', () => {
  const { driver } = probed()
  const key = pattern(40)
  const table = Array.from({ length: 128 }, (_, at) => (at * 5) % 2)
  driver.setRss({ key })
  driver.setRss({ table })
  const address = driver.memory.allocate(4096)
  driver.admin.pass(Opcode.queryRss, (args) => {
    setAddress(args, 0, 4096)
    setAddress(args, 8, address)
  })
  const view = driver.memory.view(address, 560)
  assert.equal(view.getUint32(0), 560)
  assert.deepEqual(driver.memory.memory(address + 8, 40), key)
  const told = table.map((_, entry) => view.getUint32(48 + 4 * entry))
  assert.deepEqual(told, table)
})

test('an RSS table with an unknown queue changes nothing, its key neither', () => {
  const { driver } = probed()
  const { memory, admin } = driver
  const address = memory.allocate(512)
  memory.view(address + 508, 4).setUint32(0, 2)
  const status = admin.execute(Opcode.configureRss, (args) => {
    args.setUint8(2, 1)
    args.setUint16(4, 40)
    args.setUint16(6, 128)
    setAddress(args, 8, memory.allocate(40))
    setAddress(args, 16, address)
  })
  assert.equal(status, Status.invalidArgument)
  const answer = memory.allocate(4096)
  admin.pass(Opcode.queryRss, (args) => {
    setAddress(args, 0, 4096)
    setAddress(args, 8, answer)
  })
  assert.equal(memory.memory(answer + 8, 1)[0], 1, 'the key of the probe')
})

test('flow rules are added, told and removed by their locations', () => {
  const { card, driver } = probed()
  const { admin } = driver
  const add = (rule: Parameters<typeof ruleCommand>[0]) =>
    admin.executeExtended(0x101, ruleCommand(rule))
  const first = { location: 9, queue: 1, source: [10, 0, 0, 1], ports: [0, 80] as const }
  assert.equal(add(first), Status.passed)
  assert.equal(add({ location: 3, type: 6, ports: [0, 53] }), Status.passed)
  assert.equal(add({ location: 3, ports: [0, 54] }), Status.alreadyExists)
  assert.equal(
    add({ ...first, location: 8, queue: 0 }),
    Status.alreadyExists,
    'for the same packets',
  )
  assert.equal(add({ location: 64, ports: [0, 54] }), Status.invalidArgument)
  assert.equal(add({ location: 1, queue: 2, ports: [0, 54] }), Status.invalidArgument)
  assert.equal(add({ location: 1, type: 2, ports: [0, 54] }), Status.unimplemented)
  assert.equal(add({ operation: 3 }), Status.invalidArgument)
  assert.equal(card.state.flowRules, 2)

  const counts = queryRules(driver, 2)
  assert.deepEqual([counts.count, counts.places, counts.told], [2, 64, 0])
  assert.deepEqual([...queryRules(driver, 1).body], [0, 0, 0, 3, 0, 0, 0, 9])
  const rules = queryRules(driver, 0, 4)
  assert.equal(rules.told, 1)
  assert.deepEqual(rules.body.subarray(4), ruleCommand(first).subarray(4, 88))
  assert.equal(queryRules(driver, 0, 0, 16 + 88).told, 1, 'no more than there is room for')

  assert.equal(add({ operation: 1, location: 9 }), Status.passed)
  assert.equal(add({ operation: 1, location: 9 }), Status.notFound)
  assert.equal(add({ operation: 2 }), Status.passed)
  assert.equal(card.state.flowRules, 0)
})

test('a flow rule by port alone steers to its queue', () => {
  const { card, driver, link } = openCard({}, { queues: 4 })
  const command = ruleCommand({ queue: 3, ports: [0, 4000] })
  assert.equal(driver.admin.executeExtended(0x101, command), Status.passed)
  for (const source of [1, 2, 3, 4, 5, 6]) {
    link.put(frame({ source, destinationPort: 4000, payload: pattern(20) }))
  }
  card.poll(0)
  assert.deepEqual(
    driver.poll().map(({ queue }) => queue),
    [3, 3, 3, 3, 3, 3],
  )
})

test('commands with wrong arguments are refused, and change nothing', () => {
  const { card, driver } = openCard({}, { queues: 2 })
  const { admin, memory } = driver
  const refused = (opcode: number, fill: (args: DataView<ArrayBuffer>) => void, status: number) => {
    assert.equal(admin.execute(opcode, fill), status, `opcode ${opcode}`)
  }
  const { invalidArgument, alreadyExists, notFound, unimplemented } = Status
  refused(Opcode.describeDevice, (args) => args.setUint32(8, 2), unimplemented)
  const tooShort = (args: DataView<ArrayBuffer>) => {
    setAddress(args, 0, memory.base)
    args.setUint32(8, 1)
    args.setUint32(12, 64)
  }
  refused(Opcode.describeDevice, tooShort, invalidArgument)
  refused(Opcode.configureResources, () => {}, alreadyExists)
  refused(Opcode.createRxQueue, () => {}, invalidArgument)
  refused(Opcode.createTxQueue, () => {}, invalidArgument)
  refused(Opcode.destroyRxQueue, (args) => args.setUint32(0, 2), notFound)
  refused(Opcode.destroyTxQueue, (args) => args.setUint32(0, 0xffff_ffff), notFound)
  refused(Opcode.packetTypeMap, (args) => setAddress(args, 8, memory.base), invalidArgument)
  refused(Opcode.reportStats, (args) => setAddress(args, 0, 100), invalidArgument)
  refused(Opcode.reportLinkSpeed, (args) => setAddress(args, 0, NO_MEMORY), invalidArgument)
  refused(Opcode.setDriverParameter, (args) => args.setUint32(0, 7), unimplemented)
  refused(0x11, () => {}, unimplemented)
  refused(0x1234, () => {}, unimplemented)
  assert.throws(() => driver.createRx(driver.rx[0] ?? assert.fail()), /status fffffff1/)
  assert.equal(admin.verify(1), unimplemented)
  assert.deepEqual(
    card.state.rxQueues.map(({ queue }) => queue),
    [0, 1],
  )
})

test('a driver without a queue’s memory, size or block gets no queue', () => {
  const { driver } = probed()
  const { admin, memory } = driver
  const ring = memory.allocate(2048 * 32)
  const good = { queue: 0, block: 2, entries: 512, buffer: 2048, header: 0, at: ring, qpl: -1 }
  const create = (change: Partial<typeof good>) => {
    const { queue, block, entries, buffer, header, at, qpl } = { ...good, ...change }
    return admin.execute(Opcode.createRxQueue, (args) => {
      args.setUint32(0, queue)
      args.setUint32(12, block)
      for (const place of [16, 24, 32]) setAddress(args, place, at)
      args.setUint32(40, qpl)
      args.setUint16(44, entries)
      args.setUint16(46, buffer)
      args.setUint16(48, entries)
      args.setUint16(52, header)
    })
  }
  for (const change of [
    { queue: 2 },
    { block: 4 },
    { entries: 500 },
    { entries: 128 },
    { entries: 4096 },
    { buffer: 1024 },
    { buffer: 8192 },
    { header: 64 },
    { at: ring + 2 },
    { at: memory.base + memory.bytes - 4096 },
    { at: NO_MEMORY },
    { at: 2 ** 53 },
    { at: 2 ** 64 - 4096 },
    { qpl: 0 },
  ]) {
    assert.equal(create(change), Status.invalidArgument, JSON.stringify(change))
  }
  assert.equal(create({}), Status.passed)
})

test('an invalid admin queue does nothing', () => {
  const { card, driver } = probed()
  const { admin } = driver
  const done = card.state.commands.done
  admin.setRegister(0x14, done + 100)
  assert.equal(admin.register(0x18), done)
  card.write(0, 0x28, 2, 0x0020) // 8192 in big-endian order
  admin.setRegister(0x14, done + 1)
  card.write(0, 0x28, 2, 0x0010)
  admin.setRegister(0x24, NO_MEMORY)
  admin.setRegister(0x20, 0)
  admin.setRegister(0x14, done + 1)
  assert.deepEqual(card.state.commands, { done, refused: 0, faults: 3 })
})

test('random commands, doorbells and registers never throw', () => {
  const word = fc.oneof(fc.nat(3), fc.nat(2048), fc.integer({ min: 0, max: 0xffff_ffff }))
  const near = fc.nat(2 ** 16)
  const args = fc.array(
    fc.oneof(
      word,
      near.map((at) => -at),
    ),
    { minLength: 14, maxLength: 14 },
  )
  const opcode = fc.oneof(fc.nat(0x20), fc.constantFrom(0xff, 0x101, 5, 6, 2))
  const step = fc.oneof(
    fc.record({ kind: fc.constant('command' as const), opcode, args }),
    fc.record({ kind: fc.constant('doorbell' as const), at: fc.nat(1023), value: word }),
    fc.record({ kind: fc.constant('register' as const), at: fc.nat(63), value: word }),
    fc.record({ kind: fc.constant('memory' as const), at: near, value: word }),
    fc.record({ kind: fc.constant('frame' as const), bytes: fc.nat(2000) }),
  )
  const run = (steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]) => {
    const { card, driver, link } = openCard({ split: true }, { queues: 2 })
    const { admin, memory } = driver
    for (const one of steps) {
      if (one.kind === 'command') {
        if (!card.state.running) admin.start()
        try {
          admin.execute(one.opcode, (view) => {
            for (const [at, value] of one.args.entries()) {
              // A negative number is an address in the guest's memory.
              if (value < 0 && at % 2 === 0) setAddress(view, 4 * at, memory.base - value)
              else if (value >= 0) view.setUint32(4 * at, value)
            }
          })
        } catch (error) {
          // The register writes above may have moved the admin queue away.
          assert.match(String(error), /was not done/)
        }
      } else if (one.kind === 'doorbell') card.write(2, 4 * one.at, 4, one.value)
      else if (one.kind === 'register') card.write(0, one.at & ~3, 4, one.value)
      else if (one.kind === 'memory')
        memory.view(memory.base + (one.at & ~3), 4).setUint32(0, one.value)
      else link.put(frame({ payload: pattern(one.bytes), destinationPort: one.bytes }))
      card.poll(0)
    }
    card.detach()
  }
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), run), { numRuns: 60 })
})
