import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'

import { buildIpFrame, buildTcpFrame, buildUdpFrame } from './build-frame.test.helper.ts'
import {
  ChecksumResult,
  fillChecksums,
  fillPartialChecksum,
  verifyChecksums,
} from './frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from './frame-layout.ts'
import { createFrameMemory, createPlainFrameMemory } from './frame-memory.ts'
import { hex, tcpFrames, udpFrames } from './frames.test.helper.ts'

const memory = createFrameMemory(128 * 1024)
const layout = new FrameLayout()
const flow = { sourcePort: 1, destinationPort: 2 }
const v4 = { ...flow, source: '10.0.0.1', destination: '10.0.0.2' }
const v6 = { ...flow, source: 'fd00::1', destination: 'fd00::2' }
const empty = new Uint8Array(0)

function verify(offset: number, length: number, wireLength = length): number {
  parseFrame(memory.bytes, offset, length, layout, wireLength)
  return verifyChecksums(memory, offset, layout)
}

/** The checksum of what the RFCs say it is of, put together anew and added up word by word. */
function modelChecksum(offset: number): number {
  const { bytes } = memory
  const from = offset + layout.l4Offset
  const segment = [...bytes.slice(from, offset + layout.headerLength + layout.payloadLength)]
  const field = layout.kind === FrameKind.tcp ? 16 : 6
  segment[field] = 0
  segment[field + 1] = 0
  const addresses = bytes.slice(
    offset + layout.sourceOffset,
    offset + layout.destinationOffset + layout.addressBytes,
  )
  const { length } = segment
  const tail = [length >>> 24, length >>> 16, length >>> 8, length, 0, layout.protocol]
  const all = [...addresses, ...tail.map((byte) => byte & 255), ...segment, 0]
  let sum = 0
  for (let at = 0; at + 1 < all.length; at += 2) {
    sum += (all[at] ?? 0) * 256 + (all[at + 1] ?? 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return 0xffff - sum
}

function checksumAt(offset: number): number {
  const at = offset + layout.l4Offset + (layout.kind === FrameKind.tcp ? 16 : 6)
  return (memory.bytes[at] ?? 0) * 256 + (memory.bytes[at + 1] ?? 0)
}

describe('checksums', () => {
  it('are those of a captured frame', () => {
    // The IPv4 header that Wikipedia's article on its checksum takes as an example: UDP without one.
    memory.bytes.set(
      hex(`ffffffffffff 0200 0000 0001 0800
        4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7 0035 e97c 005f 0000`),
    )
    memory.bytes.fill(0, 42, 129)
    assert.equal(verify(0, 129), ChecksumResult.none)
    memory.bytes[24] = 0xb9
    assert.equal(verify(0, 129), ChecksumResult.badIp)
    fillChecksums(memory, 0, layout)
    assert.equal(memory.bytes[24], 0xb8)
    assert.equal(verify(0, 129), ChecksumResult.ok)
  })

  it('are filled in as the model has them, and verify', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          tcpFrames.map((frame) => ({ build: buildTcpFrame, frame })),
          udpFrames.map((frame) => ({ build: buildUdpFrame, frame })),
        ),
        fc.nat(33),
        ({ build, frame }, offset) => {
          const length = build(frame, memory, offset)
          assert.equal(verify(offset, length), ChecksumResult.ok)
          const checksum = modelChecksum(offset)
          const none = layout.kind === FrameKind.udp && checksum === 0
          assert.equal(checksumAt(offset), none ? 0xffff : checksum)

          const built = memory.bytes.slice(offset, offset + length)
          // Partial and wrong checksums become the same.
          build({ ...frame, checksum: 'partial' }, memory, offset)
          assert.ok(fillChecksums(memory, offset, layout))
          assert.deepEqual(memory.bytes.slice(offset, offset + length), built)
          fillPartialChecksum(memory, offset, layout)
          assert.ok(fillChecksums(memory, offset, layout))
          assert.deepEqual(memory.bytes.slice(offset, offset + length), built)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('leave the sum of the pseudo-header when partial', () => {
    for (const ip of [v4, v6]) {
      for (const [build, protocol, headerBytes] of [
        [buildTcpFrame, 6, 20],
        [buildUdpFrame, 17, 8],
      ] as const) {
        const payload = new Uint8Array(7)
        const length = build({ ...ip, payload, checksum: 'partial' }, memory, 0)
        assert.equal(verify(0, length), ChecksumResult.badL4)
        // 10.0.0.1 and 10.0.0.2, then fd00::1 and fd00::2.
        const addresses = ip === v4 ? 2 * 0x0a00 + 3 : 2 * 0xfd00 - 0xffff + 3
        assert.equal(checksumAt(0), addresses + protocol + headerBytes + 7)
      }
    }
  })

  it('find any bit that is wrong in what they cover', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          tcpFrames.map((frame) => ({ build: buildTcpFrame, frame })),
          udpFrames.map((frame) => ({ build: buildUdpFrame, frame })),
        ),
        fc.nat(),
        fc.nat(7),
        ({ build, frame }, place, bit) => {
          const length = build(frame, memory, 3)
          parseFrame(memory.bytes, 3, length, layout)
          const { headerLength, payloadLength } = layout
          // All of an IPv4 packet, not the first bytes and extension headers of an IPv6 one.
          const addresses = layout.sourceOffset
          const covered: number[] = []
          for (let at = layout.ipVersion === 4 ? layout.ipOffset : addresses; ; at++) {
            if (at === addresses + 32 && layout.ipVersion === 6) at = layout.l4Offset
            if (at >= headerLength + payloadLength) break
            covered.push(at)
          }
          const at = 3 + (covered[place % covered.length] ?? 0)
          memory.bytes[at] = (memory.bytes[at] ?? 0) ^ (1 << bit)
          // The layout is that of the intact frame: a checksum shows a wrong length as well.
          const gone = layout.protocol === 17 && checksumAt(3) === 0
          const inIp = layout.ipVersion === 4 && at < 3 + layout.l4Offset
          const wrong = inIp ? ChecksumResult.badIp : ChecksumResult.badL4
          const expected = gone && !inIp ? ChecksumResult.none : wrong
          assert.equal(verifyChecksums(memory, 3, layout), expected)
          memory.bytes[at] = (memory.bytes[at] ?? 0) ^ (1 << bit)
          assert.equal(verifyChecksums(memory, 3, layout), ChecksumResult.ok)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('of UDP may be missing', () => {
    for (const ip of [v4, v6]) {
      const length = buildUdpFrame({ ...ip, payload: Uint8Array.of(1, 2, 3) }, memory, 0)
      assert.equal(verify(0, length), ChecksumResult.ok)
      memory.bytes.fill(0, layout.l4Offset + 6, layout.l4Offset + 8)
      assert.equal(verify(0, length), ChecksumResult.none)
    }
  })

  it('of UDP that come out as 0 are sent as all ones', () => {
    for (const ip of [v4, v6]) {
      const payload = new Uint8Array(2)
      buildUdpFrame({ ...ip, payload }, memory, 0)
      parseFrame(memory.bytes, 0, 100, layout)
      // Makes the sum all ones, and so the checksum 0.
      const checksum = checksumAt(0)
      payload.set([checksum >> 8, checksum])
      const length = buildUdpFrame({ ...ip, payload }, memory, 0)
      assert.equal(verify(0, length), ChecksumResult.ok)
      assert.equal(checksumAt(0), 0xffff)
      // TCP makes no such difference.
      buildTcpFrame({ ...ip, payload: new Uint8Array(2) }, memory, 0)
      parseFrame(memory.bytes, 0, 100, layout)
      const tcp = checksumAt(0)
      const same = { ...ip, payload: Uint8Array.of(tcp >> 8, tcp) }
      assert.equal(verify(0, buildTcpFrame(same, memory, 0)), ChecksumResult.ok)
      assert.equal(checksumAt(0), 0)
    }
  })

  it('of fragments and other IP are those of the IPv4 header', () => {
    const fragment = { offset: 8, more: true }
    const payload = new Uint8Array(40).fill(7)
    for (const options of [
      { protocol: 6, payload, fragment },
      { protocol: 1, payload },
      { protocol: 1, payload: empty },
    ]) {
      const six = buildIpFrame({ ...v6, ...options }, memory, 0)
      assert.equal(verify(0, six), ChecksumResult.none)
      assert.equal(fillChecksums(memory, 0, layout), false)
      assert.equal(fillPartialChecksum(memory, 0, layout), false)
      const four = buildIpFrame({ ...v4, ...options }, memory, 0)
      assert.equal(verify(0, four), ChecksumResult.none)
      memory.bytes[22] = 63
      assert.equal(verify(0, four), ChecksumResult.badIp)
      const before = memory.bytes.slice(34, four)
      assert.equal(fillChecksums(memory, 0, layout), false)
      assert.equal(verify(0, four), ChecksumResult.none)
      assert.deepEqual(memory.bytes.slice(34, four), before)
    }
  })

  it('of cut frames are not known', () => {
    const length = buildTcpFrame({ ...v4, payload: new Uint8Array(100) }, memory, 0)
    const before = memory.bytes.slice(0, length)
    for (let cut = 54; cut < length; cut++) {
      assert.equal(verify(0, cut, length), ChecksumResult.none)
      assert.equal(fillChecksums(memory, 0, layout), false)
    }
    assert.deepEqual(memory.bytes.slice(0, length), before)
    assert.equal(verify(0, 53, length), ChecksumResult.none)
    memory.bytes[24] = 0
    assert.equal(verify(0, 60, length), ChecksumResult.badIp)
  })

  it('of frames that are not IP, or malformed, have the result none', () => {
    memory.bytes.fill(0x55, 0, 60)
    assert.equal(verify(0, 60), ChecksumResult.none)
    assert.equal(verify(0, 4), ChecksumResult.none)
    assert.equal(fillChecksums(memory, 0, layout), false)
  })

  it('are right for segments that hardware was to cut', () => {
    for (const ip of [v4, v6]) {
      const payload = Uint8Array.from({ length: 100_000 }, (_, at) => at * 31)
      const length = buildTcpFrame({ ...ip, payload }, memory, 1)
      assert.equal(verify(1, length), ChecksumResult.ok)
      assert.equal(checksumAt(1), modelChecksum(1))
    }
  })

  it('read and write nothing outside of a frame with anything in it', () => {
    const damage = fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 4 })
    fc.assert(
      fc.property(tcpFrames, damage, fc.integer({ min: 1, max: 400 }), (frame, damage, cut) => {
        const length = Math.min(buildTcpFrame(frame, memory, 0), cut)
        for (const [at, value] of damage) memory.bytes[12 + at] = value
        // The frame is all of this memory: outside of it sum() throws.
        const own = createPlainFrameMemory(length)
        own.bytes.set(memory.bytes.subarray(0, length))
        parseFrame(own.bytes, 0, length, layout)
        verifyChecksums(own, 0, layout)
        if (fillChecksums(own, 0, layout)) {
          assert.equal(verifyChecksums(own, 0, layout), ChecksumResult.ok)
        }
        parseFrame(own.bytes, 0, length, layout, length + 300)
        verifyChecksums(own, 0, layout)
        fillChecksums(own, 0, layout)
        fillPartialChecksum(own, 0, layout)
      }),
      { numRuns: 300 },
    )
  })
})
