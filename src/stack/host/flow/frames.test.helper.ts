/** Headers for tests of flows. */

import type { Netmem } from '../../../netmem.ts'
import { FrameKind, FrameLayout } from '../../../wire/frame-layout.ts'
import type { Skb } from '../skb/skb.ts'

export interface Segment {
  readonly version?: 4 | 6
  readonly source?: readonly number[]
  readonly destination?: readonly number[]
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly protocol?: number
  readonly seq?: number
  readonly flags?: number
  readonly urgent?: number
}

const ADDRESS_BYTES = { 4: 4, 6: 16 } as const

/** Ethernet, IP and TCP headers of a segment with `payloadBytes` of payload. */
export function headersOf(segment: Segment, payloadBytes: number): Uint8Array {
  const { version = 4, protocol = 6, seq = 0, flags = 0x10 } = segment
  const addressBytes = ADDRESS_BYTES[version]
  const ipBytes = version === 4 ? 20 : 40
  const bytes = new Uint8Array(14 + ipBytes + 20)
  const view = new DataView(bytes.buffer)
  view.setUint16(12, version === 4 ? 0x0800 : 0x86dd)
  if (version === 4) {
    view.setUint8(14, 0x45)
    view.setUint16(16, 40 + payloadBytes)
    view.setUint8(23, protocol)
  } else {
    view.setUint8(14, 0x60)
    view.setUint16(18, 20 + payloadBytes)
    view.setUint8(20, protocol)
  }
  const addresses = 14 + ipBytes - 2 * addressBytes
  bytes.set((segment.source ?? [192, 0, 2, 1]).slice(0, addressBytes), addresses)
  bytes.set(
    (segment.destination ?? [192, 0, 2, 2]).slice(0, addressBytes),
    addresses + addressBytes,
  )
  const l4 = 14 + ipBytes
  view.setUint16(l4, segment.sourcePort ?? 40_000)
  view.setUint16(l4 + 2, segment.destinationPort ?? 5201)
  if (protocol === 17) {
    view.setUint16(l4 + 4, 20 + payloadBytes)
  } else {
    view.setUint32(l4 + 4, seq >>> 0)
    view.setUint8(l4 + 12, 0x50)
    view.setUint8(l4 + 13, flags)
    view.setUint16(l4 + 18, segment.urgent ?? 0)
  }
  return bytes
}

/** Puts headers in front of an skb that has `headersOf(segment, …).length` bytes of them already. */
export function writeHeaders<M extends Netmem>(skb: Skb<M>, segment: Segment): Skb<M> {
  skb.head.set(headersOf(segment, skb.payloadLength))
  return skb
}

/** What {@link parseFrame} would say of a TCP segment. */
export function layoutOf(seq: number, tcpFlags = 0x10): FrameLayout {
  const layout = new FrameLayout()
  layout.kind = FrameKind.tcp
  layout.seq = seq | 0
  layout.tcpFlags = tcpFlags
  return layout
}
