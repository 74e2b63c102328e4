import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildTcpFrame } from './build-frame.test.helper.ts'
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
import { FrameKind, FrameLayout, parseFrame } from './frame-layout.ts'
import { createFrameMemory } from './frame-memory.ts'
import { hex } from './frames.test.helper.ts'

const memory = createFrameMemory(128 * 1024)

describe('parseFrame and lengths', () => {
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
    // A UDP length of 0 over IPv6 is the packet's.
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
    // The jumbo option comes after Pad1 and PadN options.
    const second = '06 01 00 01 02 00 00 00  c2 04 00 01 86 a0 00 00'
    has(layoutOf(`${ETHERNET} ${ipv6('00 00', '00')} ${second} ${TCP}`, 100_054), {
      kind: FrameKind.tcp,
      payloadLength: 99_964,
    })
  })

  it('takes BIG TCP in each kind of tunnel, with lengths of 0 outside', () => {
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
})
