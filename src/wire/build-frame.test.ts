import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { buildIpFrame, buildTcpFrame, buildUdpFrame } from './build-frame.test.helper.ts'
import { createFrameMemory } from './frame-memory.ts'
import { hex, tcpFrames } from './frames.test.helper.ts'

const memory = createFrameMemory(4096)
const v4 = { source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 80, destinationPort: 4660 }
const v6 = { ...v4, source: 'fd00::1', destination: 'fd00::2' }

function built(length: number): Uint8Array {
  return memory.bytes.slice(0, length)
}

describe('frames that are built', () => {
  it('have every field in its place: TCP over IPv4', () => {
    const length = buildTcpFrame(
      {
        ...v4,
        sourceMac: '02:00:00:00:00:0a',
        destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 0xb),
        vlans: [{ id: 0x123, priority: 5, etherType: 0x88a8 }, { id: 7 }],
        timeToLive: 63,
        trafficClass: 0xb8,
        identification: 0x1234,
        dontFragment: true,
        ipv4Options: Uint8Array.of(1, 1, 1, 0),
        seq: 0xfedc_ba98,
        ack: 0x7654_3210,
        flags: 0x18,
        window: 0x0102,
        urgentPointer: 0x0304,
        timestamps: { value: 0xa1a2_a3a4, echo: 0xb1b2_b3b4 },
        payload: Uint8Array.of(0x61, 0x62, 0x63),
        checksum: 'partial',
      },
      memory,
      0,
    )
    assert.deepEqual(
      built(length),
      hex(`02000000000b 02000000000a 88a8 a123 8100 0007 0800
        46b8 003b 1234 4000 3f06 11ce 0a000001 0a000002 01010100
        0050 1234 fedcba98 76543210 8018 0102 142c 0304 0101 080a a1a2a3a4 b1b2b3b4 616263`),
    )
  })

  it('have every field in its place: UDP over IPv6', () => {
    const length = buildUdpFrame(
      {
        ...v6,
        trafficClass: 0xb8,
        flowLabel: 0x12345,
        timeToLive: 1,
        extensions: [{ protocol: 60, bytes: Uint8Array.of(99, 0, 1, 4, 0, 0, 0, 0) }],
        payload: Uint8Array.of(0x61),
        minimumBytes: 75,
      },
      memory,
      0,
    )
    assert.deepEqual(
      built(length),
      hex(`020000000002 020000000001 86dd
        6b812345 0011 3c 01 fd000000000000000000000000000001 fd000000000000000000000000000002
        11 00 01 04 00000000  0050 1234 0009 9253 61 0000 0000`),
    )
  })

  it('have every field in its place: fragments', () => {
    const payload = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    const fragment = { offset: 0x1230, more: true }
    const options = { protocol: 17, payload, fragment, identification: 9 }
    assert.deepEqual(
      built(buildIpFrame({ ...v4, ...options }, memory, 0)).subarray(14),
      hex('4500 001c 0009 2246 4011 4480 0a000001 0a000002 0102030405060708'),
    )
    assert.deepEqual(
      built(buildIpFrame({ ...v6, ...options }, memory, 0)).subarray(18, 22),
      hex('0010 2c 40'),
    )
    assert.deepEqual(memory.bytes.slice(54, 70), hex('1100 1231 00000009 0102030405060708'))
  })

  it('may be longer than their length can say', () => {
    const large = createFrameMemory(128 * 1024)
    const payload = new Uint8Array(99_972)
    assert.equal(buildTcpFrame({ ...v4, payload }, large, 0), 54 + 99_972)
    assert.deepEqual(large.bytes.slice(14, 18), hex('4500 0000'))
    assert.equal(buildTcpFrame({ ...v6, payload }, large, 0), 82 + 99_972)
    assert.deepEqual(large.bytes.slice(18, 22), hex('0000 00 40'))
    assert.deepEqual(large.bytes.slice(54, 62), hex('0600 c204 000186a0'))
  })

  it('touch nothing before and behind them', () => {
    fc.assert(
      fc.property(tcpFrames, fc.nat(99), (frame, offset) => {
        memory.bytes.fill(0xee)
        const length = buildTcpFrame(frame, memory, offset)
        assert.ok(length >= (frame.minimumBytes ?? 0))
        assert.ok(memory.bytes.subarray(0, offset).every((byte) => byte === 0xee))
        assert.ok(memory.bytes.subarray(offset + length).every((byte) => byte === 0xee))
      }),
      { numRuns: 50 },
    )
  })

  it('have to fit', () => {
    const small = createFrameMemory(60)
    assert.equal(buildTcpFrame({ ...v4, payload: new Uint8Array(6) }, small, 0), 60)
    assert.throws(() => buildTcpFrame({ ...v4, payload: new Uint8Array(7) }, small, 0))
    assert.throws(() => buildTcpFrame(v4, small, 7))
    assert.throws(() => buildTcpFrame(v4, small, -1))
  })
})
