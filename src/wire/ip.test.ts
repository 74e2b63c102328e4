// Both versions of IP. What frame-layout.test.ts says of whole frames holds of these headers too.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { hex } from './frames.test.helper.ts'
import { IpHeader, isFragment } from './ip.ts'
import { parseIpv4, readIpv4Details, writeIpv4 } from './ipv4.ts'
import { parseIpv6, readIpv6Details, writeIpv6 } from './ipv6.ts'

const v4 = [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2)] as const
const v6 = [hex(`fd00${'00'.repeat(13)}01`), hex(`fd00${'00'.repeat(13)}02`)] as const

test('an IPv4 header is the one that RFC 1071 implementations are tried with', () => {
  const header = new IpHeader()
  header.packetBytes = 0x73
  header.dontFragment = true
  header.protocol = 17
  const bytes = new Uint8Array(20)
  const ends = [Uint8Array.of(192, 168, 0, 1), Uint8Array.of(192, 168, 0, 199)] as const
  assert.equal(writeIpv4(bytes, 0, header, ...ends), 20)
  assert.deepEqual(bytes, hex('4500 0073 0000 4000 4011 b861 c0a80001 c0a800c7'))
})

test('an IPv6 header is laid out as RFC 8200 has it', () => {
  const header = new IpHeader()
  Object.assign(header, { packetBytes: 52, protocol: 17, trafficClass: 0xb8, flowLabel: 0x12345 })
  header.timeToLive = 1
  const bytes = new Uint8Array(40)
  assert.equal(writeIpv6(bytes, 0, header, ...v6), 40)
  assert.deepEqual(bytes.subarray(0, 8), hex('6b812345 000c 11 01'))
  assert.deepEqual(bytes.subarray(8), Uint8Array.of(...v6[0], ...v6[1]))
})

test('headers come back as they were, and are refused where they are cut', () => {
  const fields = fc.record({
    payloadBytes: fc.integer({ min: 1, max: 60_000 }),
    protocol: fc.constantFrom(1, 6, 17, 50, 255),
    trafficClass: fc.nat(255),
    timeToLive: fc.nat(255),
    flowLabel: fc.nat(0xf_ffff),
    identification: fc.nat(0xffff),
    dontFragment: fc.boolean(),
    moreFragments: fc.boolean(),
    units: fc.nat(0x1fff),
    optionWords: fc.nat(10),
  })
  fc.assert(
    fc.property(fields, fc.nat(9), ({ payloadBytes, units, optionWords, ...rest }, at) => {
      const four = new IpHeader()
      const options = new Uint8Array(4 * optionWords).fill(1)
      const headerBytes = 20 + options.length
      const packetBytes = headerBytes + payloadBytes
      const fragmentOffset = 8 * units
      Object.assign(four, { ...rest, flowLabel: 0, headerBytes, packetBytes, fragmentOffset })
      const bytes = new Uint8Array(100)
      assert.equal(writeIpv4(bytes, at, four, ...v4, options), headerBytes)
      const read = new IpHeader()
      const wireEnd = at + packetBytes
      assert.ok(parseIpv4(bytes, at, at + headerBytes, wireEnd, read))
      readIpv4Details(bytes, at, read)
      assert.deepEqual(read, four)
      assert.equal(isFragment(read), rest.moreFragments || units > 0)
      const untouched = new IpHeader()
      for (let cut = 0; cut < headerBytes; cut++) {
        assert.ok(!parseIpv4(bytes, at, at + cut, wireEnd, untouched))
      }
      assert.ok(!parseIpv4(bytes, at, at + headerBytes, wireEnd - 1, untouched))
      assert.deepEqual(untouched, new IpHeader())

      const six = new IpHeader()
      const { protocol, trafficClass, timeToLive, flowLabel } = rest
      const length = { headerBytes: 40, packetBytes: 40 + payloadBytes }
      Object.assign(six, { protocol, trafficClass, timeToLive, flowLabel, ...length })
      assert.equal(writeIpv6(bytes, at, six, ...v6), 40)
      const readSix = new IpHeader()
      assert.ok(parseIpv6(bytes, at, at + 40, at + six.packetBytes, readSix))
      readIpv6Details(bytes, at, readSix)
      assert.deepEqual(readSix, six)
      for (let cut = 0; cut < 40; cut++) {
        assert.ok(!parseIpv6(bytes, at, at + cut, at + six.packetBytes, readSix))
      }
      assert.ok(!parseIpv6(bytes, at, at + 40, at + six.packetBytes - 1, readSix))
    }),
  )
})

test('an IPv6 fragment tells its place and its number', () => {
  const packet = hex(`60000000 0010 2c 40 ${'00'.repeat(32)} 1100 1231 80000009 0102030405060708`)
  const header = new IpHeader()
  assert.ok(parseIpv6(packet, 0, packet.length, packet.length, header))
  assert.equal(header.headerBytes, 48)
  assert.equal(header.protocol, 17)
  assert.equal(header.fragmentOffset, 0x1230)
  assert.equal(header.identification, 0x8000_0009 | 0)
  assert.ok(header.moreFragments && isFragment(header))
})

test('packets longer than 16 bits can tell have the length 0, which stands for all there is', () => {
  const header = new IpHeader()
  header.protocol = 6
  header.packetBytes = 100_000
  const bytes = new Uint8Array(40)
  const read = new IpHeader()
  writeIpv4(bytes, 0, header, ...v4)
  assert.deepEqual(bytes.subarray(2, 4), Uint8Array.of(0, 0))
  assert.ok(parseIpv4(bytes, 0, 20, 100_000, read))
  assert.equal(read.packetBytes, 100_000)
  writeIpv6(bytes, 0, header, ...v6)
  assert.deepEqual(bytes.subarray(4, 6), Uint8Array.of(0, 0))
  assert.ok(parseIpv6(bytes, 0, 40, 100_000, read))
  assert.equal(read.packetBytes, 100_000)
})
