import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ETHERNET,
  has,
  ipv4,
  ipv6,
  kindOf,
  layoutOf,
  TCP,
  UDP,
} from './frame-layout.test.helper.ts'
import { FrameKind, FrameLayout } from './frame-layout.ts'

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
      // An "atomic" fragment is whole (RFC 6946). Bits 1 and 2 are reserved.
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
    // The packet is on its way to another destination, which its checksum covers.
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

  it('goes past every EtherType of VLAN tags', () => {
    for (const type of ['81 00', '88 a8', '91 00', '92 00', '93 00']) {
      const layout = layoutOf(`${ETHERNET} ${type} 01 23 81 00 00 07 ${ipv4('00 28', '06')} ${TCP}`)
      has(layout, { kind: FrameKind.tcp, vlan: 0x123, ipOffset: 22 })
    }
    assert.equal(kindOf(`${ETHERNET} 94 00 01 23 ${ipv4('00 28', '06')} ${TCP}`), FrameKind.other)
  })
})
