/** Runs the example that needs /dev/udmabuf. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { test } from 'node:test'
import { sha256, withProgram } from './programs.test.helper.ts'

test('shared-udmabuf.ts hashes in another process what this one received', async () => {
  const payload = randomBytes(3_000_000)
  await withProgram('shared-udmabuf.js', ['0'], async (program) => {
    assert.equal(await program.line(), 'another process has the udmabuf: 1')
    net.connect(await program.port(), '127.0.0.1').end(payload)
    assert.equal(await program.line(), `sha256 ${sha256(payload)}`)
  })
})
