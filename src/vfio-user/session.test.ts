// A device and a machine that speaks to it as QEMU does.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  AF_UNIX,
  eventfd,
  ftruncate,
  MAP_PRIVATE,
  MFD_ALLOW_SEALING,
  memfdCreate,
  mmap,
  PROT_READ,
  read,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  socketpair,
  write,
} from '../linux/sys/index.ts'
import { openDescriptors } from '../testing/descriptors.test.helper.ts'
import { VFIO_USER } from '../wire/vfio-user.ts'
import { RecordingDevice } from './recording-device.test.helper.ts'
import { VfioUserSession } from './session.ts'
import { createTestMachine, messageOf } from './testing/test-machine.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const EINVAL = 22
const CONFIG = 7

const guestMappings = (): number =>
  readFileSync('/proc/self/maps', 'utf8').split('memfd:netmem-guest').length - 1

function info(device: RecordingDevice, command: number, index: number, bytes: number): number[] {
  using machine = createTestMachine(device)
  const body = new Uint32Array(bytes / 4)
  body[2] = index
  const reply = machine.request(command, new Uint8Array(body.buffer))
  return reply.errno === 0 ? [...new Uint32Array(reply.body.buffer)] : [-reply.errno]
}

describe('VfioUserSession', { skip }, () => {
  it('describes the device', () => {
    const device = new RecordingDevice()
    const region = (index: number) => info(device, VFIO_USER.DEVICE_GET_REGION_INFO, index, 32)
    assert.deepEqual(info(device, VFIO_USER.DEVICE_GET_INFO, 0, 16), [16, 3, 9, 5])
    assert.deepEqual(region(0), [32, 3, 0, 0, 4096, 0, 0, 0])
    assert.deepEqual(region(1), [32, 3, 1, 0, 4096, 0, 0, 0])
    assert.deepEqual(region(2), [32, 3, 2, 0, 8192, 0, 0, 0])
    assert.deepEqual(region(6), [32, 0, 6, 0, 0, 0, 0, 0])
    assert.deepEqual(region(CONFIG), [32, 3, 7, 0, 256, 0, 0, 0])
    assert.deepEqual(region(9), [-EINVAL])
    const irq = (index: number) => info(device, VFIO_USER.DEVICE_GET_IRQ_INFO, index, 16)
    assert.deepEqual(irq(2), [16, 9, 2, 5])
    assert.deepEqual(irq(0), [16, 0, 0, 0])
    assert.deepEqual(irq(5), [-EINVAL])
  })

  it('ends a connection without an error, also with unread messages', () => {
    const [near, far] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK)
    const session = new VfioUserSession(far, new RecordingDevice())
    write(near.fd, new Uint8Array(200_000))
    session.close()
    // A reset connection fails here with ECONNRESET.
    assert.equal(read(near.fd, new Uint8Array(16)), 0)
    near.close()
  })

  it('ends with a client that is gone, and has left replies unread', () => {
    const version = messageOf(0, 1, 0, new Uint8Array(4))
    const reset = messageOf(1, VFIO_USER.DEVICE_RESET, 0, new Uint8Array())
    for (const unanswered of [[], [reset]]) {
      for (const end of ['step', 'close'] as const) {
        const before = openDescriptors()
        const [near, far] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK)
        const device = new RecordingDevice()
        const session = new VfioUserSession(far, device)
        write(near.fd, version)
        session.step()
        for (const request of unanswered) write(near.fd, request)
        near.close()
        session[end]()
        assert.equal(session.open, false)
        assert.equal(device.calls.at(-1), 'detach')
        assert.deepEqual(openDescriptors(), before)
      }
    }
  })

  it('has a configuration space, whose writable bits alone are written', () => {
    using machine = createTestMachine(new RecordingDevice())
    const word = (at: number) => machine.readRegister(CONFIG, at, 4)
    assert.equal(word(0x00), 0x5678_1234)
    assert.equal(word(0x08), 0x0200_0001)
    assert.equal(word(0x2c), 0x5678_1234)
    assert.equal(word(0x34), 0x40)
    assert.equal(word(0x40), 0x0004_0011)
    assert.equal(word(0x44), 1)
    assert.equal(word(0x48), 0x801)
    machine.writeRegister(CONFIG, 0x00, 4, 0xffffffff)
    machine.writeRegister(CONFIG, 0x04, 4, 0xffffffff)
    machine.writeRegister(CONFIG, 0x18, 4, 0xffffffff)
    machine.writeRegister(CONFIG, 0x1c, 4, 0xffffffff)
    machine.writeRegister(CONFIG, 0x40, 4, 0xffffffff)
    assert.equal(word(0x00), 0x5678_1234)
    assert.equal(word(0x04), 0x0010_0406)
    assert.equal(word(0x18), 0xffff_e000)
    assert.equal(word(0x1c), 0)
    assert.equal(word(0x40), 0xc004_0011)
    machine.reset()
    assert.equal(word(0x04), 0x0010_0000)
  })

  it('gives the device its registers, in accesses that are aligned', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device)
    device.calls.length = 0
    device.value = 0x1_8765_4321
    assert.equal(machine.readRegister(0, 8, 4), 0x8765_4321)
    assert.equal(machine.readRegister(0, 6, 2), 0x4321)
    assert.equal(machine.readRegister(2, 8191, 1), 0x21)
    machine.writeRegister(2, 4, 4, 0xdead_beef)
    machine.writeRegion(0, 1, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
    assert.deepEqual(device.calls, [
      'read 0 8 4',
      'read 0 6 2',
      'read 2 8191 1',
      'write 2 4 4 3735928559',
      'write 0 1 1 1',
      'write 0 2 2 770',
      `write 0 4 4 ${0x07060504}`,
      'write 0 8 1 8',
    ])
  })

  it('refuses accesses outside a region, and the device does not hear of them', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device)
    device.calls.length = 0
    const outside: [number, number, number][] = [
      [0, 4096, 1],
      [0, 4093, 4],
      [0, 2 ** 40, 4],
      [0, Number.MAX_SAFE_INTEGER, 4],
      [3, 0, 1],
      [6, 0, 1],
      [8, 0, 1],
      [9, 0, 1],
      [0xffffffff, 0, 1],
      [CONFIG, 256, 1],
      [CONFIG, 253, 4],
      [0, 0, 0xffffffff],
    ]
    for (const [region, offset, count] of outside) {
      assert.equal(machine.readRegion(region, offset, count).errno, EINVAL)
      if (count <= 4)
        assert.equal(machine.writeRegion(region, offset, new Uint8Array(count)).errno, EINVAL)
    }
    const short = new Uint8Array(16)
    new DataView(short.buffer).setUint32(12, 4, true)
    assert.equal(machine.request(VFIO_USER.REGION_WRITE, short).errno, EINVAL)
    assert.deepEqual(device.calls, [])
  })

  it('shows the device the guest’s memory', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device, { memoryBytes: 2 * 2 ** 20 })
    const memory = device.bus?.memory
    assert.ok(memory !== undefined)
    machine.memory.set([1, 2, 3], 4096)
    const bytes = new Uint8Array(3)
    assert.equal(memory.read(4096, bytes), true)
    assert.deepEqual([...bytes], [1, 2, 3])
    assert.equal(memory.write(2 * 2 ** 20 - 1, Uint8Array.of(9)), true)
    assert.equal(machine.memory.at(-1), 9)
    assert.equal(memory.write(2 * 2 ** 20 - 1, bytes), false)
    assert.equal(machine.unmapMemory(0, 2 * 2 ** 20).errno, 0)
    assert.equal(memory.read(4096, bytes), false)
    // Firmware maps it again in pieces, some of which are a ROM.
    assert.equal(machine.mapMemory(0, 0xa0000, 0).errno, 0)
    assert.equal(machine.mapMemory(0xc0000, 0x10000, 0xc0000, { writable: false }).errno, 0)
    assert.equal(machine.mapMemory(0xd0000, 0x30000, 0, { writable: false, fd: null }).errno, 0)
    assert.equal(machine.mapMemory(0x100000, 0x100000, 0x100000).errno, 0)
    assert.equal(memory.locate(0xa0000 - 1, 2, true), 1)
    assert.equal(memory.locate(0xc0000, 1, true), 0)
    assert.equal(memory.locate(0xc0000, 1, false), 1)
    assert.equal(memory.locate(0xd0000, 1, false), 0)
    assert.equal(machine.unmapMemory(0, 0, 2).errno, 0)
    assert.equal(memory.locate(0, 1, false), 0)
  })

  it('interrupts the guest: masked vectors remember one interrupt', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device, { vectors: 3 })
    const { bus } = device
    assert.ok(bus !== undefined)
    const PBA = 2048
    bus.interrupt(1)
    bus.interrupt(1)
    bus.interrupt(2)
    assert.deepEqual(
      [0, 1, 2].map((vector) => machine.takeInterrupts(vector)),
      [0, 2, 1],
    )
    for (const vector of [-1, 5, 1000, 0.5, Number.NaN]) bus.interrupt(vector)
    bus.interrupt(4)
    bus.interrupt(4)
    assert.equal(machine.readRegister(1, PBA, 1), 0b10000)
    machine.connectVector(4)
    assert.equal(machine.takeInterrupts(4), 1)
    assert.equal(machine.readRegister(1, PBA, 1), 0)
    machine.disconnectVectors()
    bus.interrupt(1)
    machine.connectVectors(3)
    assert.equal(machine.takeInterrupts(1), 0)
    assert.equal(machine.setIrqs(0x21, 0, 2).errno, 0)
    assert.deepEqual(
      [0, 1, 2].map((vector) => machine.takeInterrupts(vector)),
      [1, 1, 0],
    )
  })

  it('refuses settings of interrupts that cannot be', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device)
    using one = eventfd(0, 0)
    using file = memfdCreate('netmem-none', 0)
    const before = openDescriptors()
    assert.equal(machine.setIrqs(0x24, 5, 1, [one.fd]).errno, EINVAL)
    assert.equal(machine.setIrqs(0x24, 0xffffffff, 2, [one.fd]).errno, EINVAL)
    assert.equal(machine.setIrqs(0x24, 0, 2, [one.fd]).errno, EINVAL)
    assert.equal(machine.setIrqs(0x24, 0, 1, [file.fd]).errno, EINVAL)
    assert.equal(machine.setIrqs(0x21, 0, 1, [one.fd]).errno, EINVAL)
    assert.equal(machine.setIrqs(0x0c, 0, 1).errno, EINVAL)
    assert.equal(machine.setIrqs(0x27, 0, 1).errno, EINVAL)
    assert.equal(machine.setIrqs(0x22, 0, 1).errno, EINVAL)
    assert.deepEqual(openDescriptors(), before)
  })

  it('closes what it was given, whenever the machine or the device ends', () => {
    const device = new RecordingDevice()
    const before = openDescriptors()
    for (const end of ['machine', 'session', 'both'] as const) {
      const machine = createTestMachine(device)
      for (let again = 0; again < 20; again++) machine.connectVector(again % 5)
      machine.mapMemory(2 ** 32, 2 ** 20, 0)
      assert.equal(device.bus?.memory.regions.length, 2)
      if (end !== 'machine') machine.session?.close()
      if (end !== 'session') machine.close()
      assert.equal(machine.session?.open, false)
      machine[Symbol.dispose]()
      assert.equal(device.calls.at(-1), 'detach')
    }
    assert.deepEqual(openDescriptors(), before)
    assert.equal(guestMappings(), 0)
  })

  it('survives a machine that dies in the middle of a message', () => {
    const before = openDescriptors()
    const message = messageOf(1, VFIO_USER.REGION_WRITE, 0, new Uint8Array(20))
    for (let cut = 1; cut < message.length; cut++) {
      const machine = createTestMachine(new RecordingDevice())
      using one = eventfd(0, 0)
      machine.send(message.subarray(0, cut), [one.fd])
      machine.session?.step()
      machine.close()
      assert.equal(machine.session?.open, false)
    }
    assert.deepEqual(openDescriptors(), before)
  })

  it('gives each message its own descriptors, however they arrive', () => {
    const device = new RecordingDevice()
    using machine = createTestMachine(device, { vectors: 0 })
    using one = eventfd(0, 0)
    const setting = (vector: number) => {
      const body = new Uint32Array([20, 0x24, 2, vector, 1])
      return messageOf(9, VFIO_USER.DEVICE_SET_IRQS, 0x10, new Uint8Array(body.buffer))
    }
    const write = messageOf(9, VFIO_USER.REGION_WRITE, 0x10, new Uint8Array(20).fill(1, 12, 13))
    machine.send(write)
    machine.send(setting(0), [one.fd])
    machine.send(write)
    machine.send(setting(1).subarray(0, 3), [one.fd])
    machine.send(setting(1).subarray(3))
    machine.send(write)
    while (device.calls.filter((call) => call.startsWith('write')).length < 3)
      machine.session?.step()
    device.bus?.interrupt(0)
    device.bus?.interrupt(1)
    const count = new BigUint64Array(1)
    read(one.fd, count)
    assert.equal(count[0], 2n)
    // The version allows this many descriptors. They do not fit the request, which ends nothing.
    machine.send(setting(0), new Array(16).fill(one.fd))
    machine.session?.step()
    assert.equal(machine.session?.open, true)
  })

  it('refuses machines that cannot have the device', () => {
    const refused = (
      code: string,
      action: (machine: ReturnType<typeof createTestMachine>) => void,
    ) => {
      const before = openDescriptors()
      const device = new RecordingDevice()
      const machine = createTestMachine(device)
      assert.throws(() => action(machine), { code })
      assert.equal(machine.session?.open, false)
      assert.equal(device.bus, undefined)
      machine.close()
      assert.deepEqual(openDescriptors(), before)
    }
    refused('NETMEM_VFIO_USER_PROTOCOL', (machine) => machine.greet())
    refused('NETMEM_VFIO_USER_PROTOCOL', (machine) => {
      machine.send(messageOf(0, 1, 1, new Uint8Array()))
      machine.session?.step()
    })
    refused('NETMEM_VFIO_USER_PROTOCOL', (machine) => {
      machine.send(messageOf(0, 1, 0, new Uint8Array(), 8))
      machine.session?.step()
    })
    // The machine keeps what it writes to itself (share=off).
    using file = memfdCreate('netmem-private', 0)
    ftruncate(file.fd, 4096)
    mmap(0, 4096, PROT_READ, MAP_PRIVATE, file.fd, 0)
    refused('NETMEM_VFIO_USER_MEMORY', (machine) => {
      machine.mapMemory(2 ** 32, 2 ** 20, 0, { fd: file.fd })
    })
    // A virtual IOMMU maps single pages.
    refused('NETMEM_VFIO_USER_IOMMU', (machine) => {
      machine.unmapMemory(0, 0, 2)
      machine.mapMemory(0xfff00000, 4096, 0x2000)
    })
  })

  it('keeps a machine from shrinking memory that the device sees, of any rights', () => {
    using machine = createTestMachine(new RecordingDevice())
    using rom = memfdCreate('netmem-rom', MFD_ALLOW_SEALING)
    ftruncate(rom.fd, 4096)
    assert.equal(machine.mapMemory(2 ** 32, 4096, 0, { fd: rom.fd, writable: false }).errno, 0)
    for (const { fd } of [machine.file, rom]) {
      assert.throws(() => ftruncate(fd, 0), { errno: 'EPERM' })
    }
  })

  it('answers commands that it has not with an error', () => {
    using machine = createTestMachine(new RecordingDevice())
    for (const command of [0, 6, 11, 12, 14, 15, 0xffff]) {
      assert.equal(machine.request(command, new Uint8Array(64)).errno, 95)
    }
    for (const command of [2, 3, 4, 5, 7, 8, 9, 10]) {
      assert.equal(machine.request(command, new Uint8Array(8)).errno, EINVAL)
    }
  })

  it('ends the connection when the device throws', () => {
    const device = new RecordingDevice()
    device.read = () => {
      throw new Error('of the device')
    }
    using machine = createTestMachine(device)
    assert.throws(() => machine.readRegister(0, 0, 4), /of the device/)
    assert.equal(machine.session?.open, false)
  })
})
