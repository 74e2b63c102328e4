// The server in an event loop and in a thread, machines that come and go, and how fast it answers.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { PollSet } from '../linux/sys/index.ts'
import { noneOpenSince, openDescriptors } from '../testing/descriptors.test.helper.ts'
import { turns, until } from '../testing/waiting.test.helper.ts'
import { connected } from './connected.test.helper.ts'
import { DeviceServer, serveDevice, type VfioUserError } from './index.ts'
import { RecordingDevice } from './recording-device.test.helper.ts'
import { messageOf, TestMachine } from './testing/index.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-vfio-'))
  await turns()
  const before = openDescriptors()
  try {
    await run(join(folder, 'device.sock'))
    await turns()
    await noneOpenSince(before)
    assert.deepEqual(readdirSync(folder), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const version = messageOf(0, 1, 0, new Uint8Array(4))

describe('serveDevice', { skip }, () => {
  it('serves one machine after the other, and removes its socket', async () => {
    await withPath(async (path) => {
      const device = new RecordingDevice()
      const events: string[] = []
      const served = await serveDevice(path, device, {
        onConnect: () => events.push('connect'),
        onDisconnect: (reason) => events.push(`disconnect ${reason?.code}`),
      })
      assert.equal(statSync(path).mode & 0o777, 0o600)
      for (let round = 1; round <= 3; round++) {
        const machine = new TestMachine(connected(path), 4096)
        machine.send(version)
        await until(() => served.connected)
        if (round === 2) machine.send(version)
        else machine.close()
        await until(() => !served.connected)
        machine[Symbol.dispose]()
        assert.equal(events.length, 2 * round)
      }
      assert.deepEqual(events, [
        ...['connect', 'disconnect undefined'],
        ...['connect', 'disconnect NETMEM_VFIO_USER_PROTOCOL'],
        ...['connect', 'disconnect undefined'],
      ])
      const machine = new TestMachine(connected(path), 4096)
      await until(() => served.connected)
      await served.close()
      await served.close()
      assert.equal(events.at(-1), 'disconnect undefined')
      assert.throws(() => machine.receive(new Uint8Array(1)), /ended the connection/)
      machine.close()
      assert.equal(existsSync(path), false)
    })
  })

  it('ends with what the device throws', async () => {
    await withPath(async (path) => {
      const device = new RecordingDevice()
      device.reset = () => {
        throw new Error('of the device')
      }
      const served = await serveDevice(path, device)
      using machine = new TestMachine(connected(path), 4096)
      machine.send(version)
      machine.send(messageOf(1, 13, 0, new Uint8Array()))
      await assert.rejects(served.closed, /of the device/)
    })
  })

  it('ends with what a device throws that refuses a machine, whose connection ends', async () => {
    await withPath(async (path) => {
      const device = new RecordingDevice()
      device.attach = () => {
        throw new Error('no machine today')
      }
      const served = await serveDevice(path, device)
      using machine = new TestMachine(connected(path), 4096)
      await assert.rejects(served.closed, /no machine today/)
      assert.throws(() => machine.receive(new Uint8Array(1)), /ended the connection|reset/)
      assert.deepEqual(device.calls, [])
    })
  })

  it('may be closed by its device, which hears of nothing more', async () => {
    await withPath(async (path) => {
      const device = new RecordingDevice()
      const events: string[] = []
      const served = await serveDevice(path, device, {
        onDisconnect: (reason) => events.push(`disconnect ${reason?.code}`),
      })
      device.reset = () => void served.close()
      using machine = new TestMachine(connected(path), 4096)
      // One call of the kernel receives all three messages.
      const reset = messageOf(1, 13, 0, new Uint8Array())
      machine.send(Buffer.concat([version, reset, reset]))
      await served.closed
      assert.deepEqual(device.calls, ['attach', 'detach'])
      assert.deepEqual(events, ['disconnect undefined'])
    })
  })

  it('refuses devices and places that cannot be', async () => {
    await withPath(async (path) => {
      const range = { code: 'NETMEM_OUT_OF_RANGE' }
      const device = new RecordingDevice()
      const servedWith = (parts: object) =>
        serveDevice(path, Object.assign(new RecordingDevice(), parts))
      await assert.rejects(servedWith({ bars: [{ index: 0, bytes: 5000 }] }), range)
      await assert.rejects(servedWith({ bars: [{ index: 1, bytes: 4096 }] }), range)
      await assert.rejects(servedWith({ bars: [{ index: 6, bytes: 4096 }] }), range)
      await assert.rejects(servedWith({ msix: { bar: 1, vectors: 2049 } }), range)
      await assert.rejects(
        servedWith({ identity: { vendorId: 2 ** 16, deviceId: 0, classCode: 0 } }),
        range,
      )
      await assert.rejects(serveDevice(`/${'x'.repeat(108)}`, device), range)
      await assert.rejects(serveDevice(`${path}/none`, device), { errno: 'ENOENT' })
      await using first = await serveDevice(path, device)
      await assert.rejects(serveDevice(path, device), { errno: 'EADDRINUSE' })
      assert.ok(!first.connected)
      await first.close()
      writeFileSync(path, '')
      await assert.rejects(serveDevice(path, device), { errno: 'EADDRINUSE' })
      rmSync(path)
      await (await serveDevice(path, device)).close()
    })
  })

  it('DeviceServer needs no event loop', async () => {
    await withPath(async (path) => {
      const device = new RecordingDevice()
      device.value = 77
      const server = new DeviceServer(device, { path })
      const poll = new PollSet(1)
      const machine = new TestMachine(connected(path), 4096)
      const serve = (): number => {
        poll.set(0, server.fd, server.events)
        assert.equal(poll.wait(-1), 1)
        return server.step()
      }
      assert.equal(serve(), 0)
      assert.equal(server.connected, true)
      machine.send(version)
      assert.equal(serve(), 1)
      machine.receive(new Uint8Array(4096))
      machine.close()
      assert.equal(serve(), 0)
      assert.equal(server.connected, false)
      server.close()
      server.close()
      assert.throws(() => server.fd, { code: 'NETMEM_VFIO_USER_CLOSED' })
      assert.equal(server.step(), 0)
    })
  })

  it('says what is wrong with the memory', async () => {
    await withPath(async (path) => {
      const reasons: (VfioUserError | undefined)[] = []
      const onDisconnect = (reason: VfioUserError | undefined) => void reasons.push(reason)
      await using served = await serveDevice(path, new RecordingDevice(), { onDisconnect })
      using machine = new TestMachine(connected(path), 4096)
      machine.send(version)
      const map = new Uint32Array([32, 3, 0, 0, 0, 0, 4096, 0])
      machine.send(messageOf(1, 2, 0, new Uint8Array(map.buffer)))
      await until(() => reasons.length > 0)
      assert.equal(reasons[0]?.code, 'NETMEM_VFIO_USER_MEMORY')
      assert.match(reasons[0].message, /share=on/)
      assert.equal(served.connected, false)
    })
  })
})
