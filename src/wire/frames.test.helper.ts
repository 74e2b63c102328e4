/** Frames of all shapes, as options to build them from: for the property tests of this folder. */

import { fc } from '../testing/fast-check.test.helper.ts'
import type {
  Extension,
  IpOptions,
  TcpFrameOptions,
  UdpFrameOptions,
} from './build-frame.test.helper.ts'

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 })
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })

/** Hop-by-hop, a routing header that has done its work, and a fragment header without fragments. */
const extensions: fc.Arbitrary<Extension[]> = fc
  .tuple(
    fc.array(extension(0), { maxLength: 1 }),
    fc.array(fc.oneof(extension(43), extension(60), atomicFragment()), { maxLength: 3 }),
  )
  .map(([first, others]) => [...first, ...others])

function extension(protocol: number): fc.Arbitrary<Extension> {
  return fc.tuple(fc.nat(3), fc.nat(255)).map(([units, fill]) => {
    const bytes = new Uint8Array(8 + 8 * units).fill(fill)
    bytes[1] = units
    bytes[3] = 0
    return { protocol, bytes }
  })
}

function atomicFragment(): fc.Arbitrary<Extension> {
  return u32.map((id) => {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setUint32(4, id)
    return { protocol: 44, bytes }
  })
}

const ethernet = {
  sourceMac: mac,
  destinationMac: mac,
  vlans: fc.array(
    fc.record({
      id: fc.nat(4095),
      priority: fc.nat(7),
      etherType: fc.constantFrom(0x8100, 0x88a8, 0x9100, 0x9200, 0x9300),
    }),
    { maxLength: 3 },
  ),
  timeToLive: fc.nat(255),
  trafficClass: fc.nat(255),
  minimumBytes: fc.constantFrom(0, 60),
}

const ip: fc.Arbitrary<IpOptions> = fc.oneof(
  fc.record({
    ...ethernet,
    source: ipv4,
    destination: ipv4,
    identification: u16,
    dontFragment: fc.boolean(),
    ipv4Options: fc.nat(10).map((words) => new Uint8Array(4 * words).fill(1)),
  }),
  fc.record({
    ...ethernet,
    source: ipv6,
    destination: ipv6,
    flowLabel: fc.nat(0xf_ffff),
    extensions,
  }),
)

const l4 = {
  sourcePort: u16,
  destinationPort: u16,
  payload: fc.uint8Array({ maxLength: 300 }),
}

const timestamps = fc.record({ value: u32, echo: u32 })

export const tcpFrames: fc.Arbitrary<TcpFrameOptions> = fc
  .tuple(
    ip,
    fc.record({
      ...l4,
      seq: u32,
      ack: u32,
      flags: fc.nat(255),
      window: u16,
      urgentPointer: u16,
    }),
    fc.oneof(
      fc.constant({}),
      fc.record({
        timestamps,
        sack: fc.array(fc.record({ left: u32, right: u32 }), { maxLength: 3 }),
      }),
      fc.record({
        timestamps,
        mssBytes: u16,
        windowScale: fc.nat(14),
        sackPermitted: fc.boolean(),
      }),
    ),
  )
  .map(([a, b, c]) => ({ ...a, ...b, ...c }))

export const udpFrames: fc.Arbitrary<UdpFrameOptions> = fc
  .tuple(ip, fc.record(l4))
  .map(([a, b]) => ({ ...a, ...b }))

/** Bytes written as hexadecimal digits, spaces between them where they please. */
export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
}
