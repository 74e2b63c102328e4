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
import { runInGuest } from './guest.ts'

const DEVICE = fileURLToPath(new URL('../../examples/pci-device.js', import.meta.url))

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
