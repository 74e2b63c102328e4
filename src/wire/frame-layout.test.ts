import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { buildIpFrame, buildTcpFrame, buildUdpFrame } from './build-frame.test.helper.ts'
import { FrameKind, FrameLayout, parseFrame } from './frame-layout.ts'
import { createFrameMemory } from './frame-memory.ts'
import { hex, tcpFrames, udpFrames } from './frames.test.helper.ts'

const memory = createFrameMemory(128 * 1024)

// Headers written out by hand, so that they owe nothing to the code under test.
const ETHERNET = '02 00 00 00 00 02  02 00 00 00 00 01'
/** From 10.0.0.1:80 to 10.0.0.2:4660, seq 1, ack 2, PSH and ACK, window 512, urgent pointer 3. */
const TCP = '00 50 12 34  00 00 00 01  00 00 00 02  50 18 02 00  00 00 00 03'
const UDP = '00 50 12 34'

/** IPv4 with everything open that the tests change. */
function ipv4(total: string, protocol: string, { first = '45', fragment = '40 00' } = {}): string {
  return `08 00 ${first} 00 ${total} 00 01 ${fragment} 40 ${protocol} 00 00 0a 00 00 01 0a 00 00 02`
}

function ipv6(payload: string, next: string): string {
  const address = '20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00'
  return `86 dd 60 00 00 00 ${payload} ${next} 40 ${address} 01 ${address} 02`
}

function layoutOf(text: string, wireLength?: number): FrameLayout {
  const frame = hex(text)
  return parseFrame(frame, 0, frame.length, new FrameLayout(), wireLength)
}

function kindOf(text: string, wireLength?: number): number {
  return layoutOf(text, wireLength).kind
}

/** `fields` of a layout, and nothing said of others. */
function has(layout: FrameLayout, fields: Partial<FrameLayout>): void {
  assert.deepEqual({ ...layout, ...fields }, { ...layout })
}

/** `bytes` that throws where anything is read outside of `start` to `end`. */
function guarded(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, property) {
      const at = Number(property)
      if (!Number.isNaN(at)) assert.ok(at >= start && at < end, `read ${at} of ${start} to ${end}`)
      return Reflect.get(target, property, target)
    },
  })
}

describe('parseFrame', () => {
  it('finds everything in IPv4 with TCP', () => {
    assert.deepEqual(
      { ...layoutOf(`${ETHERNET} ${ipv4('00 2c', '06')} ${TCP} 61 62 63 64`) },
      {
        kind: FrameKind.tcp,
        length: 58,
        etherType: 0x0800,
        vlan: -1,
        ipVersion: 4,
        ipOffset: 14,
        sourceOffset: 26,
        destinationOffset: 30,
        addressBytes: 4,
        protocol: 6,
        l4Offset: 34,
        sourcePort: 80,
        destinationPort: 0x1234,
        headerLength: 54,
        payloadLength: 4,
        seq: 1,
        ack: 2,
        tcpFlags: 0x18,
        window: 512,
        urgentPointer: 3,
      },
    )
  })

  it('finds everything in IPv6 with UDP', () => {
    assert.deepEqual(
      { ...layoutOf(`${ETHERNET} ${ipv6('00 0a', '11')} ${UDP} 00 0a 00 00 61 62`) },
      {
        ...new FrameLayout(),
        kind: FrameKind.udp,
        length: 64,
        etherType: 0x86dd,
        ipVersion: 6,
        ipOffset: 14,
        sourceOffset: 22,
        destinationOffset: 38,
        addressBytes: 16,
        protocol: 17,
        l4Offset: 54,
        sourcePort: 80,
        destinationPort: 0x1234,
        headerLength: 62,
        payloadLength: 2,
      },
    )
  })

  it('reads fields of 32 and 16 bits without sign', () => {
    const frame = `${ETHERNET} ${ipv4('00 28', '06')} ff ff ff fe ff ff ff ff ff ff ff fe 50 ff ff ff 00 00 ff ff`
    has(layoutOf(frame), { sourcePort: 0xffff, seq: -1, ack: -2, window: 0xffff })
    has(layoutOf(frame), { tcpFlags: 0xff, urgentPointer: 0xffff, payloadLength: 0 })
  })

  it('leaves Ethernet padding out of the payload', () => {
    const padding = '00 '.repeat(5)
    has(layoutOf(`${ETHERNET} ${ipv4('00 29', '06')} ${TCP} 61 ${padding}`), { payloadLength: 1 })
    has(layoutOf(`${ETHERNET} ${ipv4('00 1d', '11')} ${UDP} 00 09 00 00 61 ${padding}`), {
      payloadLength: 1,
      headerLength: 42,
    })
    has(layoutOf(`${ETHERNET} ${ipv6('00 14', '06')} ${TCP} ${padding}`), { payloadLength: 0 })
  })

  it('leaves out of a UDP payload what its length leaves out', () => {
    has(layoutOf(`${ETHERNET} ${ipv4('00 20', '11')} ${UDP} 00 09 00 00 61 62 63 64`), {
      kind: FrameKind.udp,
      payloadLength: 1,
    })
  })

  it('goes past IPv4 and TCP options', () => {
    const frame = `${ETHERNET} ${ipv4('00 35', '06', { first: '47' })} 01 01 01 01 01 01 01 00
      00 50 12 34 00 00 00 01 00 00 00 02 60 10 02 00 00 00 00 00 01 01 01 00 61`
    has(layoutOf(frame), { kind: FrameKind.tcp, l4Offset: 42, headerLength: 66, payloadLength: 1 })
  })

  it('goes past VLAN tags, and keeps the id of the outermost', () => {
    const packet = `${ipv4('00 28', '06')} ${TCP}`
    has(layoutOf(`${ETHERNET} 81 00 e0 05 ${packet}`), {
      kind: FrameKind.tcp,
      vlan: 5,
      ipOffset: 18,
      headerLength: 58,
    })
    has(layoutOf(`${ETHERNET} 88 a8 0f ff 81 00 00 07 ${packet}`), {
      kind: FrameKind.tcp,
      vlan: 0xfff,
      ipOffset: 22,
    })
    has(layoutOf(`${ETHERNET} 81 00 00 00 ${packet}`), { kind: FrameKind.tcp, vlan: 0 })
    assert.equal(kindOf(`${ETHERNET} 81 00 00 05`), FrameKind.malformed)
    assert.equal(kindOf(`${ETHERNET} ${'81 00 00 05'.repeat(300)} 81`), FrameKind.malformed)
  })

  it('knows what is not IP', () => {
    const arp = `${ETHERNET} 08 06 00 01 08 00 06 04 00 01 ${'00'.repeat(20)}`
    has(layoutOf(arp), { kind: FrameKind.other, etherType: 0x0806, ipOffset: 14, ipVersion: 0 })
    // A length instead of a type (IEEE 802.3), as spanning tree has.
    assert.equal(kindOf(`${ETHERNET} 00 26 42 42 03`), FrameKind.other)
    assert.equal(kindOf(`${ETHERNET} 81 00 00 01 08 06`), FrameKind.other)
  })

  it('knows IP that is neither TCP nor UDP', () => {
    has(layoutOf(`${ETHERNET} ${ipv4('00 1c', '01')} 08 00 00 00 00 00 00 00`), {
      kind: FrameKind.ip,
      protocol: 1,
      l4Offset: 34,
      headerLength: 0,
    })
    assert.equal(kindOf(`${ETHERNET} ${ipv4('00 14', '84')}`), FrameKind.ip)
    assert.equal(kindOf(`${ETHERNET} ${ipv6('00 00', '3b')}`), FrameKind.ip)
    assert.equal(kindOf(`${ETHERNET} ${ipv6('00 08', '3a')} ${'00'.repeat(8)}`), FrameKind.ip)
    // Authentication and encryption: what follows is theirs.
    has(layoutOf(`${ETHERNET} ${ipv6('00 08', '33')} 06 ${'00'.repeat(7)}`), { protocol: 51 })
  })

  it('knows fragments, the first one too', () => {
    for (const [fragment, kind] of [
      ['20 00', FrameKind.fragment],
      ['20 01', FrameKind.fragment],
      ['00 01', FrameKind.fragment],
      ['1f ff', FrameKind.fragment],
      ['00 00', FrameKind.tcp],
      ['40 00', FrameKind.tcp],
      ['80 00', FrameKind.tcp],
    ] as const) {
      const layout = layoutOf(`${ETHERNET} ${ipv4('00 28', '06', { fragment })} ${TCP}`)
      has(layout, { kind, protocol: 6, l4Offset: 34, addressBytes: 4 })
      has(layout, { headerLength: kind === FrameKind.tcp ? 54 : 0 })
    }
    for (const [fragment, kind] of [
      ['00 01', FrameKind.fragment],
      ['00 08', FrameKind.fragment],
      ['ff f9', FrameKind.fragment],
      // An "atomic" fragment is whole (RFC 6946); bits 1 and 2 are reserved.
      ['00 06', FrameKind.tcp],
    ] as const) {
      const layout = layoutOf(
        `${ETHERNET} ${ipv6('00 1c', '2c')} 06 00 ${fragment} 00 00 00 09 ${TCP}`,
      )
      has(layout, { kind, protocol: 6, l4Offset: 62 })
    }
  })

  it('goes past IPv6 extension headers', () => {
    const options = (next: string) => `${next} 00 01 04 00 00 00 00`
    const longOptions = (next: string) => `${next} 01 01 0c ${'00'.repeat(12)}`
    const routing = (next: string, left: string) => `${next} 00 02 ${left} 00 00 00 00`
    has(
      layoutOf(
        `${ETHERNET} ${ipv6('00 34', '00')} ${options('3c')} ${longOptions('2b')} ${routing('06', '00')} ${TCP}`,
      ),
      { kind: FrameKind.tcp, protocol: 6, l4Offset: 86, headerLength: 106, payloadLength: 0 },
    )
    // On its way to another destination, which its checksum is of.
    has(layoutOf(`${ETHERNET} ${ipv6('00 1c', '2b')} ${routing('06', '01')} ${TCP}`), {
      kind: FrameKind.ip,
      protocol: 43,
      l4Offset: 54,
    })
    const malformed = [
      // Hop-by-hop options that are not first.
      `${ipv6('00 24', '3c')} ${options('00')} ${options('06')} ${TCP}`,
      // Longer than the packet, and than the frame.
      `${ipv6('00 08', '3c')} 06 01 ${'00'.repeat(14)} ${TCP}`,
      `${ipv6('00 08', '3c')} 06 ff ${'00'.repeat(6)}`,
      `${ipv6('00 04', '3c')} 06 00 00 00`,
      `${ipv6('00 04', '2c')} 06 00 00 00 00 00 00 00`,
    ]
    for (const packet of malformed) {
      assert.equal(kindOf(`${ETHERNET} ${packet}`), FrameKind.malformed, packet)
    }
  })

  it('refuses lengths that contradict each other', () => {
    for (const packet of [
      // Version and header length.
      `${ipv4('00 28', '06', { first: '65' })} ${TCP}`,
      `${ipv4('00 28', '06', { first: '44' })} ${TCP}`,
      `${ipv4('00 28', '06', { first: '4f' })} ${TCP}`,
      `${ipv6('00 14', '06').replace('60', '40')} ${TCP}`,
      // Total length: less than a header, more than the frame, less than TCP needs.
      `${ipv4('00 13', '06')} ${TCP}`,
      `${ipv4('00 29', '06')} ${TCP}`,
      `${ipv4('00 27', '06')} ${TCP}`,
      `${ipv6('00 15', '06')} ${TCP}`,
      `${ipv6('00 13', '06')} ${TCP}`,
      // The TCP data offset: less than a header, more than the packet.
      `${ipv4('00 28', '06')} ${TCP.replace('50 18', '40 18')}`,
      `${ipv4('00 28', '06')} ${TCP.replace('50 18', '60 18')}`,
      `${ipv4('00 28', '06')} ${TCP.replace('50 18', '60 18')} 00 00 00 00`,
      // UDP: less than a header, more than the packet, and 0 over IPv4.
      `${ipv4('00 1c', '11')} ${UDP} 00 07 00 00`,
      `${ipv4('00 1c', '11')} ${UDP} 00 09 00 00 00`,
      `${ipv4('00 1c', '11')} ${UDP} 00 00 00 00`,
      `${ipv4('00 1b', '11')} ${UDP} 00 08 00 00`,
      // A fragment without a length.
      `${ipv4('00 00', '06', { fragment: '20 00' })} ${TCP}`,
      `${ipv6('00 00', '2c')} 06 00 00 01 00 00 00 00 ${TCP}`,
    ]) {
      const layout = layoutOf(`${ETHERNET} ${packet}`)
      has(layout, { kind: FrameKind.malformed, headerLength: 0, payloadLength: 0, sourcePort: 0 })
    }
    // Over IPv6 a UDP length of 0 is the packet's.
    has(layoutOf(`${ETHERNET} ${ipv6('00 0a', '11')} ${UDP} 00 00 00 00 61 62`), {
      kind: FrameKind.udp,
      payloadLength: 2,
    })
  })

  it('takes what was captured of a frame', () => {
    const frame = hex(`${ETHERNET} ${ipv4('05 dc', '06')} ${TCP} 61 62`)
    const wireLength = 1514
    const layout = new FrameLayout()
    for (const length of [54, 55, 56]) {
      parseFrame(frame, 0, length, layout, wireLength)
      has(layout, { kind: FrameKind.tcp, length, headerLength: 54, payloadLength: 1460 })
    }
    for (let length = 0; length < 54; length++) {
      parseFrame(frame, 0, length, layout, wireLength)
      has(layout, { kind: FrameKind.malformed, length, headerLength: 0 })
    }
    // More in the packet than there was on the wire.
    assert.equal(parseFrame(frame, 0, 56, layout, 1513).kind, FrameKind.malformed)
    // Cut in an extension header, with nothing behind it to be read.
    assert.equal(kindOf(`${ETHERNET} ${ipv6('00 20', '3c')} 3a 02 ${'00'.repeat(6)}`, 86), 0)
  })

  it('takes jumbo frames, and segments that hardware was to cut', () => {
    const layout = new FrameLayout()
    for (const [source, destination] of [
      ['10.0.0.1', '10.0.0.2'],
      ['fd00::1', 'fd00::2'],
    ] as const) {
      for (const payloadLength of [8948, 60_000, 65_535, 100_000]) {
        const payload = new Uint8Array(payloadLength)
        const flow = { source, destination, sourcePort: 1, destinationPort: 2, payload }
        const length = buildTcpFrame(flow, memory, 0)
        parseFrame(memory.bytes, 0, length, layout)
        has(layout, { kind: FrameKind.tcp, payloadLength, headerLength: length - payloadLength })
      }
    }
    const zero = `${ETHERNET} ${ipv4('00 00', '06')} ${TCP} 61 62`
    has(layoutOf(zero), { kind: FrameKind.tcp, payloadLength: 2 })
    has(layoutOf(zero, 100_054), { kind: FrameKind.tcp, payloadLength: 100_000 })
    // BIG TCP: a jumbo payload option (RFC 2675, 2), or none.
    const jumbo = '06 00 c2 04 00 01 86 a0'
    has(layoutOf(`${ETHERNET} ${ipv6('00 00', '00')} ${jumbo} ${TCP}`, 100_054), {
      kind: FrameKind.tcp,
      headerLength: 82,
      payloadLength: 99_972,
    })
    has(layoutOf(`${ETHERNET} ${ipv6('00 00', '06')} ${TCP}`, 100_074), { payloadLength: 100_000 })
    // The option counts where there is one: what is behind its packet is padding.
    has(layoutOf(`${ETHERNET} ${ipv6('00 00', '00')} ${jumbo} ${TCP}`, 100_058), {
      payloadLength: 99_972,
    })
    assert.equal(kindOf(`${ETHERNET} ${ipv6('00 00', '00')} ${jumbo} ${TCP}`, 100_053), 0)
    // Behind Pad1 and PadN options.
    const second = '06 01 00 01 02 00 00 00  c2 04 00 01 86 a0 00 00'
    has(layoutOf(`${ETHERNET} ${ipv6('00 00', '00')} ${second} ${TCP}`, 100_054), {
      kind: FrameKind.tcp,
      payloadLength: 99_964,
    })
  })

  it('takes BIG TCP in tunnels: lengths of 0 outside, whatever the tunnel is', () => {
    for (const [ip, headerLength] of [
      [ipv4('00 00', '11'), 42],
      [ipv6('00 00', '11'), 62],
    ] as const) {
      has(layoutOf(`${ETHERNET} ${ip} ${UDP} 00 00 00 00`, headerLength + 80_074), {
        kind: FrameKind.udp,
        headerLength,
        payloadLength: 80_074,
      })
      // UDP's own length counts where it has one.
      has(layoutOf(`${ETHERNET} ${ip} ${UDP} 00 0a 00 00 61 62 63`), { payloadLength: 2 })
    }
    // GRE and IP in IP are of no flow, and not malformed.
    for (const protocol of ['2f', '04', '29']) {
      assert.equal(kindOf(`${ETHERNET} ${ipv4('00 00', protocol)} 00`), FrameKind.ip)
      assert.equal(kindOf(`${ETHERNET} ${ipv6('00 00', protocol)} 00`), FrameKind.ip)
    }
  })

  it('goes past every EtherType of VLAN tags', () => {
    for (const type of ['81 00', '88 a8', '91 00', '92 00', '93 00']) {
      const layout = layoutOf(`${ETHERNET} ${type} 01 23 81 00 00 07 ${ipv4('00 28', '06')} ${TCP}`)
      has(layout, { kind: FrameKind.tcp, vlan: 0x123, ipOffset: 22 })
    }
    assert.equal(kindOf(`${ETHERNET} 94 00 01 23 ${ipv4('00 28', '06')} ${TCP}`), FrameKind.other)
  })

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
