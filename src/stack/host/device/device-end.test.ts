/** Ends of devices: closed, killed, by a mistake, or with their process. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { until } from '../../../testing/waiting.test.helper.ts'
import type { SteeringRule } from '../../rings/nic-types.ts'
import { frameOf, onDevices, openRunning, rejects, stubScript } from './device.test.helper.ts'
import { type DeviceThread, openDeviceThread } from './device-thread.ts'
import { forStub, misbehave } from './stub-nic.test.helper.ts'
import { WorkerTransport } from './worker-transport.ts'

const injected = { kind: 'injected' } as const

/** Ends a device's thread wherever it is. */
async function kill(device: DeviceThread): Promise<void> {
  assert.ok(device.transport instanceof WorkerTransport)
  await device.transport.terminate()
}

onDevices(
  'after close every call rejects, and closing again is harmless',
  async (device) => {
    const memory = await device.openMemory(4096)
    const dmabuf = await memory.exportDmaBuf({ bytes: 4096 })
    const hash = await device.openHash()
    const nic = await device.openNic({ link: injected })
    const attachment = await dmabuf.attach(nic)
    await Promise.all([device.close(), device.close()])
    await device.close()
    assert.equal(await device.closed, undefined)
    for (const call of [
      () => device.openMemory(1),
      () => device.mapHost(new SharedArrayBuffer(1)),
      () => device.unmap(0),
      () => device.read(dmabuf, 0, 1),
      () => device.write(dmabuf, 0, frameOf(1, 0)),
      () => device.hash(dmabuf, []),
      () => device.openHash(),
      () => device.openNic({ link: injected }),
      () => device.run(0),
      () => memory.close(),
      () => memory.exportDmaBuf({ bytes: 1 }),
      () => dmabuf.attach(nic),
      () => dmabuf.close(),
      () => attachment.detach(),
      () => hash.update(dmabuf, []),
      () => hash.digest(),
      () => nic.rssTable(),
      () => nic.inject([]),
      () => nic.close(),
    ]) {
      await rejects(call(), 'NETMEM_DEVICE_CLOSED', 'ENODEV')
    }
    for await (const _frame of nic.transmitted()) assert.fail('a closed device sends nothing')
  },
  true,
)

onDevices(
  'what was asked before close is still answered',
  async (device) => {
    const memory = await device.openMemory(1 << 20)
    const dmabuf = await memory.exportDmaBuf({ bytes: 1 << 20 })
    const pending = [0, 1, 2, 3].map((at) => device.read(dmabuf, at, 1000))
    const closed = device.close()
    await rejects(device.read(dmabuf, 0, 1), 'NETMEM_DEVICE_CLOSED', 'ENODEV')
    for (const read of await Promise.all(pending)) assert.deepEqual(read, new Uint8Array(1000))
    await closed
  },
  true,
)

test('a device that is killed rejects what is pending, and says so', async () => {
  const device = await openRunning()
  const nic = await device.openNic({ link: injected })
  const reading = (async () => {
    for await (const _frame of nic.transmitted()) assert.fail('nothing was sent')
  })()
  // The device replies to nothing from here on.
  await misbehave(nic, { spin: true })
  await until(() => nic.stats().device.tx_pause_frames === 1, 'counters need no answer')
  const pending = [nic.rssTable(), device.openMemory(1), device.openHash()]
  const outcome = Promise.all(
    pending.map((call) => rejects(call, 'NETMEM_DEVICE_CLOSED', 'ENODEV')),
  )
  await kill(device)
  await outcome
  await rejects(reading, 'NETMEM_DEVICE_CLOSED', 'ENODEV')
  await rejects(device.openMemory(1), 'NETMEM_DEVICE_CLOSED', 'ENODEV')
  const reason = await device.closed
  assert.equal(reason?.code, 'NETMEM_DEVICE_CLOSED')
  await device.close()
})

test('a device that is killed in its sleep rejects what comes', async () => {
  const device = await openDeviceThread({ script: stubScript, stepped: true })
  await kill(device)
  await rejects(device.openMemory(1), 'NETMEM_DEVICE_CLOSED', 'ENODEV')
  await device.close()
})

onDevices(
  'a mistake in a NIC ends that NIC, with its reason, and nothing else',
  async (device) => {
    device.ref()
    const nic = await device.openNic({ link: injected })
    const other = await device.openNic({ link: injected })
    await misbehave(nic, { throwOnReceive: true })
    const reading = (async () => {
      for await (const _frame of nic.transmitted()) assert.fail('nothing was sent')
    })()
    const outcome = rejects(reading, 'NETMEM_DEVICE_FAILED', 'EIO')
    await nic.inject([frameOf(60, 0)])
    await other.inject([frameOf(60, 0)])
    // A device that runs by itself needs no run.
    await device.run(0).catch(() => 0)
    const reason = await nic.ended
    assert.deepEqual([reason?.code, reason?.errno], ['NETMEM_DEVICE_FAILED', 'EIO'])
    assert.match(reason?.message ?? '', /a mistake in the NIC/)
    await outcome
    await misbehave(nic, { throwOnReceive: false })
    await rejects(nic.up(), 'NETMEM_DEVICE_FAILED', 'EIO')
    await until(() => other.stats().device.rx_hw_drops === 1, 'the other NIC received its frame')
  },
  true,
)

test('a script that does not start is an error of its own', async () => {
  const script = new URL('no-such-device.js', import.meta.url)
  await rejects(openDeviceThread({ script }), 'NETMEM_DEVICE_CLOSED', 'ENODEV')
})

test('what is no plain data is refused before it is sent', async () => {
  await using device = await openRunning()
  const nic = await device.openNic({ link: injected })
  const rule = nic.addRule(Object.assign(forStub<SteeringRule>({}), { callback: () => {} }))
  await assert.rejects(rule, { code: 'NETMEM_INVALID_ARGUMENT' })
  assert.deepEqual(await nic.rssTable(), [0, 0, 0, 0])
})

test('device.worker.ts is a device', async () => {
  await using device = await openDeviceThread()
  const memory = await device.openMemory(4096)
  const dmabuf = await memory.exportDmaBuf({ bytes: 4096 })
  await device.write(dmabuf, 1, Uint8Array.of(42))
  assert.equal((await device.read(dmabuf, 1, 1))[0], 42)
})

/** Runs a program that has `device` and `nic`. Returns its output after it has ended by itself. */
async function runProgram(body: string): Promise<string> {
  const thread = new URL('device-thread.js', import.meta.url)
  const program = `
    import { openDeviceThread } from ${JSON.stringify(thread.href)}
    const device = await openDeviceThread({ script: new URL(${JSON.stringify(stubScript.href)}) })
    const nic = await device.openNic({ link: { kind: 'injected' } })
    ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 300_000,
  })
  let output = ''
  child.stdout.on('data', (data) => (output += data))
  const [status] = await once(child, 'close')
  assert.equal(status, 0, 'it ends, without an error')
  return output.trim()
}

test('an idle device keeps no process alive, asleep or not', async () => {
  assert.equal(await runProgram(`console.log('done')`), 'done')
})

test('a device that was asked to does, until it is told otherwise', async () => {
  const body = `
    device.ref()
    device.ref()
    setTimeout(() => device.unref(), 100).unref()
    process.on('exit', () => console.log('ended'))
    setTimeout(() => console.log('alive'), 50).unref()`
  assert.equal(await runProgram(body), 'alive\nended')
})

test('a pending call and a reader do', async () => {
  const body = `
    await nic.addRule({ mischief: { echo: 1 } })
    nic.inject([new Uint8Array(60)])
    for await (const frame of nic.transmitted()) {
      nic.rssTable().then((table) => console.log(frame.length, table.length))
      break
    }`
  assert.equal(await runProgram(body), '60 4')
})
