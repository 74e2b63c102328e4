// Machines that send anything: nothing crashes, nothing outside the guest's memory is touched, and no
// descriptor is left.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { eventfd, memfdCreate, PollSet } from '../linux/sys/index.ts'
import { openDescriptors } from '../testing/descriptors.test.helper.ts'
import { fc } from '../testing/fast-check.test.helper.ts'
import { rounds } from '../testing/rounds.test.helper.ts'
import { writeUint64 } from '../wire/vfio-user.ts'
import { RecordingDevice } from './recording-device.test.helper.ts'
import { createTestMachine, messageOf } from './testing/index.ts'
import { VfioUserError } from './vfio-user-error.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const MEMORY_BYTES = 2 ** 20

/** Numbers at which checks go wrong. */
const edge = fc.constantFrom(
  ...[0, 1, 2, 4, 5, 7, 8, 0x20, 0x21, 0x22, 0x24, 255, 256, 4095, 4096, 8192, 65_536],
  ...[MEMORY_BYTES - 1, MEMORY_BYTES, 2 ** 30, 2 ** 31, 2 ** 32 - 1],
)
const word = fc.oneof(edge, edge, fc.nat(0xffffffff))
const body = fc.oneof(
  fc.array(word, { maxLength: 12 }).map((words) => new Uint8Array(Uint32Array.from(words).buffer)),
  fc.tuple(word, word, fc.nat(0xffff)).map(([offset, count, flags]) => {
    // A map or a read that is nearly right.
    const view = new DataView(new ArrayBuffer(32))
    view.setUint32(4, flags & 3, true)
    writeUint64(view, 8, offset & ~4095)
    writeUint64(view, 16, count)
    writeUint64(view, 24, 4096 * (flags & 7))
    return new Uint8Array(view.buffer)
  }),
  fc.uint8Array({ maxLength: 100 }),
)
const request = fc.record({
  command: fc.oneof(
    fc.integer({ min: 2, max: 13 }),
    fc.integer({ min: 2, max: 13 }),
    fc.nat(0xffff),
  ),
  flags: fc.constantFrom(0, 0, 0, 0, 0x10, 1, 0x20, 0xffffffff),
  body,
  fds: fc.array(fc.nat(2), { maxLength: 3 }),
  lie: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 2 ** 31),
})

/** A device that touches the guest's memory wherever it is told to. */
class GreedyDevice extends RecordingDevice {
  override write(bar: number, offset: number, bytes: 1 | 2 | 4, value: number): void {
    assert.ok(this.bars.some(({ index, bytes: size }) => index === bar && offset + bytes <= size))
    assert.equal(offset % bytes, 0)
    const memory = this.bus?.memory
    assert.ok(memory !== undefined)
    const target = new Uint8Array(64)
    for (const address of [value, value * 4096, value + 2 ** 32]) {
      memory.read(address, target)
      memory.write(address, target)
    }
    this.bus?.interrupt(value)
  }
}

describe('a hostile machine', { skip }, () => {
  it('ends with a refusal at the most', () => {
    using counter = eventfd(0, 0)
    using file = memfdCreate('netmem-hostile', 0)
    const before = openDescriptors()
    const given = [counter.fd, file.fd]
    const seen = new Map<string, number>()
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), (requests) => {
        using machine = createTestMachine(new GreedyDevice(), { memoryBytes: MEMORY_BYTES })
        const fds = [...given, machine.file.fd]
        let answered = 0
        try {
          for (const { command, flags, body: bytes, fds: chosen, lie } of requests) {
            const message = messageOf(7, command, flags, bytes, (16 + bytes.length + lie) >>> 0)
            machine.send(
              message,
              chosen.map((index) => fds[index] ?? counter.fd),
            )
            answered += machine.session?.step() ?? 0
          }
          seen.set('answered', (seen.get('answered') ?? 0) + answered)
        } catch (error) {
          if (!(error instanceof VfioUserError) && machine.session?.open !== false) throw error
          const code = error instanceof VfioUserError ? error.code : 'gone'
          seen.set(code, (seen.get(code) ?? 0) + 1)
        }
      }),
      { numRuns: rounds(80) },
    )
    // A test that only ever meets closed doors tests nothing.
    assert.ok((seen.get('answered') ?? 0) > 5, JSON.stringify([...seen]))
    assert.ok(seen.has('NETMEM_VFIO_USER_PROTOCOL'))
    assert.deepEqual(openDescriptors(), before)
    assert.doesNotMatch(readFileSync('/proc/self/maps', 'utf8'), /netmem-(guest|hostile)/)
  })

  it('that writes without a pause leaves the thread to others after each few writes', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device)
    device.calls.length = 0
    const write = messageOf(1, 10, 0x10, new Uint8Array(20).fill(4, 12, 13))
    const WRITES = 500
    for (let sent = 0; sent < WRITES; sent++) machine.send(write)
    const poll = new PollSet(1)
    let most = 0
    while (device.calls.length < WRITES) {
      const { session } = machine
      assert.ok(session !== undefined)
      poll.set(0, session.fd, session.events)
      assert.equal(poll.wait(0), 1)
      most = Math.max(most, session.step())
    }
    assert.ok(most > 1 && most <= 8, String(most))
  })

  it('that takes no replies holds up itself alone', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device)
    const read = new Uint8Array(16)
    new DataView(read.buffer).setUint32(12, 4096, true)
    const message = messageOf(1, 9, 0, read)
    // Requests that the socket holds while the server does not read.
    const REQUESTS = 200
    let sent = 0
    device.calls.length = 0
    // The replies fill the socket, then the server's memory for them. It stops reading there.
    for (; sent < REQUESTS; sent++) machine.send(message)
    for (let turn = 0; turn < 100; turn++) machine.session?.step()
    const held = device.calls.length / 1024
    assert.ok(held > 10 && held < REQUESTS, String(held))
    let have = 0
    const buffer = new Uint8Array(65_536)
    const all = REQUESTS * (16 + 16 + 4096)
    while (have < all) have += machine.receive(buffer)
    assert.equal(have, all)
    assert.equal(device.calls.length, REQUESTS * 1024)
  })
})
