import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { hex } from './frames.test.helper.ts'
import {
  ACK,
  CWR,
  ECE,
  FIN,
  PSH,
  parseTcp,
  RST,
  SYN,
  type TcpHeader,
  URG,
  writeTcp,
} from './tcp.ts'

const empty: Readonly<TcpHeader> = {
  sourcePort: 0,
  destinationPort: 0,
  seq: 0,
  ack: 0,
  tcpFlags: 0,
  window: 0,
  urgentPointer: 0,
}

test('a header is laid out as RFC 9293 has it', () => {
  const bytes = new Uint8Array(24)
  const header = {
    sourcePort: 80,
    destinationPort: 0x1234,
    seq: 0xfedc_ba98 | 0,
    ack: 0x7654_3210,
    tcpFlags: PSH | ACK,
    window: 0x0102,
    urgentPointer: 0x0304,
  }
  assert.equal(writeTcp(bytes, 0, header, 4), 24)
  const expected = hex('0050 1234 fedcba98 76543210 60 18 0102 0000 0304')
  assert.deepEqual(bytes.subarray(0, 20), expected)
  const read = { ...empty }
  assert.equal(parseTcp(bytes, 0, 24, 24, read), 24)
  assert.deepEqual(read, header)
  assert.equal(FIN | SYN | RST | PSH | ACK | URG | ECE | CWR, 0xff)
})

test('headers come back as they were, and are refused where they or their packet end before', () => {
  const fields = fc.record({
    sourcePort: fc.nat(0xffff),
    destinationPort: fc.nat(0xffff),
    seq: fc.integer(),
    ack: fc.integer(),
    tcpFlags: fc.nat(255),
    window: fc.nat(0xffff),
    urgentPointer: fc.nat(0xffff),
  })
  fc.assert(
    fc.property(fields, fc.nat(10), fc.nat(9), (header, optionWords, at) => {
      const bytes = new Uint8Array(100).fill(0xee)
      const length = writeTcp(bytes, at, header, 4 * optionWords)
      const end = at + length
      const read = { ...empty }
      for (let cut = at; cut < end; cut++) {
        assert.equal(parseTcp(bytes, at, cut, 100, read), 0)
        assert.equal(parseTcp(bytes, at, 100, cut, read), 0)
      }
      assert.deepEqual(read, empty)
      assert.equal(parseTcp(bytes, at, end, end, read), length)
      assert.deepEqual(read, { ...header })
      // A data offset of less than 5 words.
      bytes[at + 12] = (bytes[at + 12] ?? 0) & 0x4f
      assert.equal(parseTcp(bytes, at, 100, 100, read), 0)
    }),
  )
})
