/** Headers for tests of flows. */

import type { Netmem } from '../../../netmem.ts'
import { buildTcpFrame, buildUdpFrame } from '../../../wire/build-frame.test.helper.ts'
import { FrameKind, FrameLayout } from '../../../wire/frame-layout.ts'
import { createFrameMemory } from '../../../wire/frame-memory.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from '../../../wire/ip.ts'
import { ACK, TCP_HEADER_BYTES } from '../../../wire/tcp.ts'
import { UDP_HEADER_BYTES } from '../../../wire/udp.ts'
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

/** Ethernet, IP and TCP headers of a segment with `payloadBytes` of payload. Those of UDP are as long. */
export function headersOf(segment: Segment, payloadBytes: number): Uint8Array {
  const { version = 4, protocol = IPPROTO_TCP } = segment
  const ends = {
    source: address(version, segment.source ?? [192, 0, 2, 1]),
    destination: address(version, segment.destination ?? [192, 0, 2, 2]),
    sourcePort: segment.sourcePort ?? 40_000,
    destinationPort: segment.destinationPort ?? 5201,
  }
  if (protocol === IPPROTO_UDP) {
    const payload = new Uint8Array(TCP_HEADER_BYTES - UDP_HEADER_BYTES + payloadBytes)
    buildUdpFrame({ ...ends, payload }, memory, 0)
  } else {
    const { flags = ACK, urgent: urgentPointer = 0 } = segment
    const seq = (segment.seq ?? 0) >>> 0
    const payload = new Uint8Array(payloadBytes)
    buildTcpFrame({ ...ends, seq, flags, urgentPointer, payload }, memory, 0)
  }
  return memory.bytes.slice(0, version === 4 ? 54 : 74)
}

const memory = createFrameMemory(2 ** 18)

/** An address whose first bytes are these. */
function address(version: 4 | 6, first: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(version === 4 ? 4 : 16)
  bytes.set(first.slice(0, bytes.length))
  return bytes
}

/** Puts headers in front of an skb that has `headersOf(segment, …).length` bytes of them already. */
export function writeHeaders<M extends Netmem>(skb: Skb<M>, segment: Segment): Skb<M> {
  skb.head.set(headersOf(segment, skb.payloadLength))
  return skb
}

/** Returns the layout that {@link parseFrame} gives a TCP segment. */
export function layoutOf(seq: number, tcpFlags: number = ACK): FrameLayout {
  const layout = new FrameLayout()
  layout.kind = FrameKind.tcp
  layout.seq = seq | 0
  layout.tcpFlags = tcpFlags
  return layout
}
