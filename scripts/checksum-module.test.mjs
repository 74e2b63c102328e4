// The bytes of the checksum module are those that its source assembles to.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import wabt from 'wabt'
import { CHECKSUM_MODULE } from '../dist/wire/checksum-module.js'

test('src/wire/checksum.wat assembles to the bytes in src/wire/checksum-module.ts', async () => {
  const { parseWat } = await wabt()
  const path = 'src/wire/checksum.wat'
  const module = parseWat(path, readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'), {
    simd: true,
  })
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64')
  module.destroy()
  const lines = base64.match(/.{1,90}/g)
  assert.equal(CHECKSUM_MODULE, base64, `CHECKSUM_MODULE must be\n${lines.join('\n')}`)
})
