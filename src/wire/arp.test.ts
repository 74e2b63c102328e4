import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { ARP_BYTES, ARP_REPLY, ARP_REQUEST, ArpPacket, parseArp, writeArp } from './arp.ts'
import { hex } from './frames.test.helper.ts'

const request = hex('0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002')

test('a request is laid out as RFC 826 has it', () => {
  const packet = new ArpPacket()
  assert.ok(parseArp(request, 0, request.length, packet))
  assert.equal(packet.operation, ARP_REQUEST)
  assert.deepEqual(packet.senderMac, Uint8Array.of(2, 0, 0, 0, 0, 1))
  assert.deepEqual(packet.senderIp, Uint8Array.of(10, 0, 0, 1))
  assert.deepEqual(packet.targetMac, new Uint8Array(6))
  assert.deepEqual(packet.targetIp, Uint8Array.of(10, 0, 0, 2))
  const bytes = new Uint8Array(ARP_BYTES)
  assert.equal(writeArp(bytes, 0, packet), ARP_BYTES)
  assert.deepEqual(bytes, request)
})

test('packets come back as they were, at any place', () => {
  const mac = fc.uint8Array({ minLength: 6, maxLength: 6 })
  const ip = fc.uint8Array({ minLength: 4, maxLength: 4 })
  fc.assert(
    fc.property(fc.tuple(mac, ip, mac, ip), fc.nat(9), (addresses, at) => {
      const packet = new ArpPacket()
      packet.operation = ARP_REPLY
      packet.senderMac.set(addresses[0])
      packet.senderIp.set(addresses[1])
      packet.targetMac.set(addresses[2])
      packet.targetIp.set(addresses[3])
      const bytes = new Uint8Array(at + ARP_BYTES + 18).fill(0xee)
      writeArp(bytes, at, packet)
      assert.ok(bytes.subarray(at + ARP_BYTES).every((byte) => byte === 0xee))
      const read = new ArpPacket()
      assert.ok(parseArp(bytes, at, bytes.length, read))
      assert.deepEqual(read, packet)
    }),
  )
})

test('packets that are cut, or about other addresses, are refused', () => {
  const packet = new ArpPacket()
  for (let cut = 0; cut < ARP_BYTES; cut++) assert.ok(!parseArp(request, 0, cut, packet))
  for (let at = 0; at < 6; at++) {
    const other = request.slice()
    other[at] = 9
    assert.ok(!parseArp(other, 0, other.length, packet))
  }
  assert.deepEqual(packet, new ArpPacket())
})
