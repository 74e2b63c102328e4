import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  type EthernetHeader,
  parseEthernet,
  writeEthernet,
} from './ethernet.ts'
import { hex } from './frames.test.helper.ts'

const destination = Uint8Array.of(2, 0, 0, 0, 0, 2)
const source = Uint8Array.of(2, 0, 0, 0, 0, 1)

test('a header is laid out as IEEE 802.3 and 802.1Q have it', () => {
  const bytes = new Uint8Array(24)
  assert.equal(writeEthernet(bytes, 1, destination, source, ETHERTYPE_ARP), 14)
  assert.deepEqual(bytes.subarray(1, 15), hex('020000000002 020000000001 0806'))
  const tags = [{ id: 0x123, priority: 5, etherType: 0x88a8 }, { id: 7 }]
  assert.equal(writeEthernet(bytes, 0, destination, source, ETHERTYPE_IPV6, tags), 22)
  const expected = hex('020000000002 020000000001 88a8 a123 8100 0007 86dd')
  assert.deepEqual(bytes.subarray(0, 22), expected)
})

test('a header is read back, and refused where it is cut', () => {
  const tag = fc.record({
    id: fc.nat(4095),
    priority: fc.nat(7),
    etherType: fc.constantFrom(0x8100, 0x88a8, 0x9100, 0x9200, 0x9300),
  })
  const types = fc.constantFrom(0x0800, 0x0806, 0x86dd, 0, 0x05dc)
  fc.assert(
    fc.property(fc.array(tag, { maxLength: 4 }), types, fc.nat(9), (tags, etherType, at) => {
      const bytes = new Uint8Array(60)
      const length = writeEthernet(bytes, at, destination, source, etherType, tags)
      const header: EthernetHeader = { etherType: 1, vlan: 1 }
      assert.equal(parseEthernet(bytes, at, at + length, header), length)
      assert.deepEqual(header, { etherType, vlan: tags[0]?.id ?? -1 })
      for (let cut = 0; cut < length; cut++) {
        const untouched: EthernetHeader = { etherType: 1, vlan: 1 }
        assert.equal(parseEthernet(bytes, at, at + cut, untouched), 0)
        assert.equal(untouched.etherType, 1)
      }
    }),
  )
})
