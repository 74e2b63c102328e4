import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fc } from '../testing/fast-check.test.helper.ts'
import { buildIpFrame, buildTcpFrame, buildUdpFrame } from './build-frame.test.helper.ts'
import { ETHERNET, guarded, has, ipv4, TCP } from './frame-layout.test.helper.ts'
import { FrameKind, FrameLayout, parseFrame } from './frame-layout.ts'
import { createFrameMemory } from './frame-memory.ts'
import { hex, tcpFrames, udpFrames } from './frames.test.helper.ts'

const memory = createFrameMemory(128 * 1024)

describe('parseFrame and any frame', () => {
  it('gives back the fields of any frame, wherever it lies', () => {
    const layout = new FrameLayout()
    const offsets = fc.nat(100)
    fc.assert(
      fc.property(tcpFrames, offsets, (frame, offset) => {
        const length = buildTcpFrame(frame, memory, offset)
        parseFrame(guarded(memory.bytes, offset, offset + length), offset, length, layout)
        const { seq = -1, ack = -1, flags = -1, window = -1, urgentPointer = -1 } = frame
        has(layout, {
          kind: FrameKind.tcp,
          protocol: 6,
          seq: seq | 0,
          ack: ack | 0,
          tcpFlags: flags,
          window,
        })
        has(layout, { urgentPointer, vlan: frame.vlans?.[0]?.id ?? -1 })
        has(layout, { sourcePort: frame.sourcePort, destinationPort: frame.destinationPort })
        const start = offset + layout.headerLength
        const payload = memory.bytes.slice(start, start + layout.payloadLength)
        assert.deepEqual(payload, frame.payload)
        const address = (at: number) =>
          memory.bytes.slice(offset + at, offset + at + layout.addressBytes)
        assert.deepEqual(address(layout.sourceOffset), frame.source)
        assert.deepEqual(address(layout.destinationOffset), frame.destination)
      }),
    )
    fc.assert(
      fc.property(udpFrames, offsets, (frame, offset) => {
        const length = buildUdpFrame(frame, memory, offset)
        parseFrame(guarded(memory.bytes, offset, offset + length), offset, length, layout)
        has(layout, { kind: FrameKind.udp, protocol: 17, seq: 0, tcpFlags: 0, window: 0 })
        has(layout, { sourcePort: frame.sourcePort, destinationPort: frame.destinationPort })
        const start = offset + layout.headerLength
        const payload = memory.bytes.slice(start, start + layout.payloadLength)
        assert.deepEqual(payload, frame.payload)
      }),
    )
  })

  it('knows any frame that was made a fragment', () => {
    const layout = new FrameLayout()
    const fragments = fc
      .record({ offset: fc.nat(8191).map((units) => 8 * units), more: fc.boolean() })
      .filter(({ offset, more }) => offset > 0 || more)
    fc.assert(
      fc.property(tcpFrames, fragments, (frame, fragment) => {
        const payload = frame.payload ?? new Uint8Array(0)
        const length = buildIpFrame({ ...frame, payload, protocol: 6, fragment }, memory, 0)
        parseFrame(memory.bytes, 0, length, layout)
        has(layout, { kind: FrameKind.fragment, protocol: 6, headerLength: 0 })
      }),
    )
  })

  it('survives any bytes, reads none outside, and leaves nothing of the frame before', () => {
    const used = new FrameLayout()
    const frames = fc.oneof(tcpFrames, udpFrames)
    const damage = fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 6 })
    const wire = fc.oneof(fc.constant(0), fc.nat(2000))
    fc.assert(
      fc.property(
        frames,
        damage,
        fc.nat(500),
        wire,
        fc.nat(40),
        (frame, damage, cut, more, offset) => {
          const whole = buildTcpFrame(frame, memory, offset)
          // Most of the damage where the lengths are.
          for (const [at, value] of damage) memory.bytes[offset + 12 + at] = value
          checkAny(memory.bytes, offset, Math.min(cut, whole), more, used)
        },
      ),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), wire, (frame, more) => {
        if (frame.length > 14) frame.set([0x08, 0x00, 0x45], 12)
        checkAny(frame, 0, frame.length, more, used)
      }),
      { numRuns: 1000 },
    )
  })

  it('reads a frame with a VLAN tag as the same frame without, though another function does', () => {
    const plain = new FrameLayout()
    const tagged = new FrameLayout()
    const damage = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 2 })
    const frames = fc.oneof(tcpFrames, udpFrames)
    const wire = fc.oneof(fc.constant(0), fc.nat(2000))
    fc.assert(
      fc.property(
        frames,
        damage,
        fc.integer({ min: 14, max: 500 }),
        wire,
        (any, damage, cut, more) => {
          const frame = { ...any, vlans: [] }
          const whole =
            'seq' in frame ? buildTcpFrame(frame, memory, 0) : buildUdpFrame(frame, memory, 0)
          for (const [at, value] of damage) memory.bytes[14 + at] = value
          const bytes = memory.bytes.slice(0, Math.min(whole, cut))
          const withTag = new Uint8Array(bytes.length + 4)
          withTag.set(bytes.subarray(0, 12))
          withTag.set([0x81, 0, 0, 7], 12)
          withTag.set(bytes.subarray(12), 16)
          parseFrame(bytes, 0, bytes.length, plain, bytes.length + more)
          parseFrame(withTag, 0, withTag.length, tagged, withTag.length + more)
          const moved = (offset: number) => (offset === 0 ? 0 : offset + 4)
          has(tagged, {
            ...plain,
            vlan: 7,
            length: plain.length + 4,
            ipOffset: moved(plain.ipOffset),
            sourceOffset: moved(plain.sourceOffset),
            destinationOffset: moved(plain.destinationOffset),
            l4Offset: moved(plain.l4Offset),
            headerLength: moved(plain.headerLength),
          })
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('reads nothing outside when told of more than there is', () => {
    const frame = hex(`${ETHERNET} ${ipv4('05 dc', '06')} ${TCP}`)
    const layout = parseFrame(guarded(frame, 0, frame.length), 0, 1514, new FrameLayout())
    has(layout, { kind: FrameKind.tcp, length: 54, payloadLength: 1460 })
    assert.equal(parseFrame(frame, 200, 60, layout).kind, FrameKind.malformed)
    assert.equal(layout.length, 0)
    assert.equal(parseFrame(frame, 0, -1, layout).kind, FrameKind.malformed)
  })
})

/** Asserts the invariants of every parsed layout. */
function checkAny(
  bytes: Uint8Array,
  offset: number,
  length: number,
  more: number,
  used: FrameLayout,
): void {
  const wireLength = length + more
  const layout = new FrameLayout()
  parseFrame(guarded(bytes, offset, offset + length), offset, length, layout, wireLength)
  parseFrame(bytes, offset, length, used, wireLength)
  assert.deepEqual(used, layout)
  assert.equal(layout.length, length)
  assert.ok(layout.headerLength <= length && layout.l4Offset <= length)
  assert.ok(layout.destinationOffset + layout.addressBytes <= length)
  assert.ok(layout.payloadLength >= 0)
  assert.ok(layout.headerLength + layout.payloadLength <= wireLength)
  assert.equal(layout.headerLength > layout.l4Offset, layout.kind >= FrameKind.tcp)
  if (layout.kind >= FrameKind.fragment) assert.ok(layout.l4Offset >= layout.ipOffset + 20)
  else assert.equal(layout.headerLength, 0)
}
