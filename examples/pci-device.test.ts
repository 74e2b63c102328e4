/** Runs the example that is a PCI device, with a machine that needs no QEMU. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectTestMachine } from 'netmem/vfio-user/testing'
import { withDirectory, withProgram } from './programs.test.helper.ts'

const skip = process.platform === 'linux' ? false : 'needs Linux'

test('pci-device.ts inverts bytes of the guest’s memory', { skip }, async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, 'device.sock')
    await withProgram('pci-device.js', [path], async (program) => {
      assert.equal(await program.line(), `listening on ${path}`)
      const machine = connectTestMachine(path)
      assert.equal(await program.line(), 'a machine has the device')
      machine.memory.set([1, 2, 3, 4], 4096)
      machine.writeRegister(0, 0, 4, 4097)
      machine.writeRegister(0, 8, 4, 2)
      machine.writeRegister(0, 12, 4, 1)
      assert.equal(machine.readRegister(0, 12, 4), 1)
      assert.deepEqual([...machine.memory.subarray(4096, 4100)], [1, 253, 252, 4])
      assert.equal(machine.takeInterrupts(0), 1)
      machine.writeRegister(0, 4, 4, 1)
      machine.writeRegister(0, 12, 4, 1)
      assert.equal(machine.readRegister(0, 12, 4), 2)
      machine.close()
      assert.equal(await program.line(), 'the machine is gone')
    })
  })
})
