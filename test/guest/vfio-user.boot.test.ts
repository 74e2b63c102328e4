// The device of examples/pci-device.ts, in another process than QEMU, driven by a program in the guest.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isNetmemError } from 'netmem'
import { openWiredCards } from 'netmem/gvnic'
import { type PciDevice, serveDevice } from 'netmem/vfio-user'
import { debianClosure } from './debian.ts'
import { runInGuest } from './guest.ts'
import { startQemu } from './machine.ts'

const DEVICE = fileURLToPath(new URL('../../examples/pci-device.js', import.meta.url))

/** A device whose registers hold nothing. */
const NO_DEVICE: PciDevice = {
  identity: { vendorId: 0x1b36, deviceId: 0x10ff, classCode: 0xff_00_00 },
  bars: [{ index: 0, bytes: 4096 }],
  msix: { bar: 1, vectors: 1 },
  attach: () => undefined,
  detach: () => undefined,
  reset: () => undefined,
  read: () => 0,
  write: () => undefined,
}

it('a program in the guest drives a device by registers, memory and interrupts', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-pci-'))
  const path = join(folder, 'device.sock')
  const child: ChildProcess = spawn(process.execPath, [DEVICE, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    assert.ok(child.stdout !== null)
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    assert.equal((await lines.next()).value, `listening on ${path}`)
    const device = { driver: 'vfio-user-pci', socket: { path, type: 'unix' } }
    const { exitCode, output } = await runInGuest('node "$CHECKOUT/test/guest/pci-driver.mjs"', {
      devices: ['-device', JSON.stringify(device)],
    })
    t.diagnostic(output)
    assert.equal(exitCode, 0, output)
    assert.match(output, /^registers\nmemory\ninterrupt\nfaults\n/)
    assert.equal((await lines.next()).value, 'a machine has the device')
    assert.equal((await lines.next()).value, 'the machine is gone')
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [0, null])
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  }
})

for (const [what, backend, words] of [
  ['of no file', 'memory-backend-ram,share=off', /passes no descriptor/],
  ['of a private mapping', 'memory-backend-memfd,share=off', /maps it for itself alone/],
] as const) {
  it(`a machine with memory ${what} is refused, and learns why`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'netmem-pci-'))
    const path = join(folder, 'device.sock')
    const qemu = await debianClosure('qemu-system-x86')
    let refuse = (_reason: Error | undefined): void => undefined
    const refused = new Promise<Error | undefined>((resolve) => {
      refuse = resolve
    })
    const served = await serveDevice(path, NO_DEVICE, { onDisconnect: refuse })
    const machine = startQemu(qemu, [
      ...['-S', '-machine', 'q35,accel=tcg,memory-backend=mem', '-m', '64M'],
      ...['-object', `${backend},id=mem,size=64M`],
      ...['-device', JSON.stringify({ driver: 'vfio-user-pci', socket: { path, type: 'unix' } })],
    ])
    try {
      const ended = once(machine, 'exit').then(() => assert.fail('QEMU has ended'))
      // The machine is killed in the end.
      ended.catch(() => undefined)
      const reason = await Promise.race([refused, ended])
      assert.ok(isNetmemError(reason), String(reason))
      assert.equal(reason.code, 'NETMEM_VFIO_USER_MEMORY')
      assert.match(reason.message, words)
      assert.match(reason.message, /share=on/)
      assert.equal(served.connected, false)
    } finally {
      machine.kill('SIGKILL')
      await served.close()
      rmSync(folder, { recursive: true })
    }
  })
}

it('a virtual IOMMU is refused as soon as a driver maps memory by it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'netmem-pci-'))
  const sockets = ['a', 'b'].map((name) => join(folder, name))
  const faults: string[] = []
  try {
    await using _cards = await openWiredCards({
      sockets,
      onFault: (socket, code) => faults.push(`${socket} ${code}`),
    })
    const devices = sockets.map((path) => ({
      driver: 'vfio-user-pci',
      socket: { path, type: 'unix' },
    }))
    // QEMU itself refuses one without caching mode: it would not learn what the guest maps.
    const { output } = await runInGuest('ls /sys/class/net', {
      kernelOptions: 'intel_iommu=on',
      devices: [
        ...['-device', 'intel-iommu,caching-mode=on'],
        ...devices.flatMap((device) => ['-device', JSON.stringify(device)]),
      ],
      modules: ['gve'],
    })
    // The driver has found no device: the guest has no interface besides its own.
    assert.equal(output, 'lo\n')
    assert.deepEqual(
      faults.sort(),
      sockets.map((socket) => `${socket} NETMEM_VFIO_USER_IOMMU`),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})
