import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { hex } from './frames.test.helper.ts'
import { parseUdp, writeUdp } from './udp.ts'

test('a header is laid out as RFC 768 has it', () => {
  const bytes = new Uint8Array(8)
  assert.equal(writeUdp(bytes, 0, { sourcePort: 80, destinationPort: 0x1234 }, 0x0a0b), 8)
  assert.deepEqual(bytes, hex('0050 1234 0a0b 0000'))
})

test('headers come back as they were, and are refused where they contradict their packet', () => {
  const port = fc.nat(0xffff)
  const bytesOf = fc.integer({ min: 8, max: 0xffff })
  fc.assert(
    fc.property(port, port, bytesOf, fc.nat(9), (sourcePort, destinationPort, length, at) => {
      const bytes = new Uint8Array(20)
      writeUdp(bytes, at, { sourcePort, destinationPort }, length)
      const read = { sourcePort: -1, destinationPort: -1 }
      const end = at + 8
      for (let cut = at; cut < end; cut++) {
        assert.equal(parseUdp(bytes, at, cut, at + length, false, read), 0)
      }
      assert.equal(parseUdp(bytes, at, end, at + length - 1, false, read), 0)
      assert.deepEqual(read, { sourcePort: -1, destinationPort: -1 })
      assert.equal(parseUdp(bytes, at, end, at + length + 3, false, read), length)
      assert.deepEqual(read, { sourcePort, destinationPort })
    }),
  )
})

test('a length below the header is wrong; 0 is all of a jumbo packet', () => {
  const read = { sourcePort: 0, destinationPort: 0 }
  for (let length = 0; length < 8; length++) {
    const bytes = hex(`0050 1234 000${length} 0000`)
    assert.equal(parseUdp(bytes, 0, 8, 100_000, false, read), 0)
    assert.equal(parseUdp(bytes, 0, 8, 100_000, true, read), length === 0 ? 100_000 : 0)
  }
})
