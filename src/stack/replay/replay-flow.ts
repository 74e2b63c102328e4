/** One direction of a flow in a replay: put in order, counted by where it landed, hashed. */

import { FrameKind, type FrameLayout } from '../../wire/frame-layout.ts'
import { IPPROTO_TCP } from '../../wire/ip.ts'
import { FIN } from '../../wire/tcp.ts'
import type { FlowKey } from '../host/flow/flow-key.ts'
import { Reassembler } from '../host/flow/reassembler.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import type { StreamHash } from './stream-hash.ts'

/** Where packets landed, in bytes, their headers included; what arrived twice is in it twice. */
export interface Landed {
  /** Of segments that the NIC made one packet of, the headers land once. */
  headerPages: number
  pages: number
  netIovs: number
}

/** What a replay tells of one direction of a flow. */
export interface FlowReport {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  readonly protocol: 'tcp' | 'udp'
  readonly packets: number
  /** Frames of the capture: the NIC makes one packet of several. */
  readonly segments: number
  /** Bytes of the stream, each once, in order; of UDP, all payload as it came. */
  readonly bytes: number
  /** Of those bytes, in hexadecimal. */
  readonly sha256: string
  /** How a TCP stream stood at the end of the capture; `-` of UDP. */
  readonly state: string
  readonly landed: Landed
  /** Packets that came before their turn. */
  readonly outOfOrder: number
  /** Bytes that had come before: retransmitted or overlapping. */
  readonly duplicateBytes: number
  /** Places where bytes are missing, and how many. */
  readonly gaps: number
  readonly gapBytes: number
  /** Packets of which the capture has a part only, and the bytes of payload that it has not. */
  readonly cutPackets: number
  readonly cutBytes: number
  readonly dropped: {
    /** Packets, and their bytes, that there was no room for until what was missing before them came. */
    readonly noRoom: number
    readonly noRoomBytes: number
    /** Packets too far ahead to be of this stream. */
    readonly outOfWindow: number
    /** Bytes behind the stream's end. */
    readonly afterEndBytes: number
  }
}

/** What waits for a missing segment, at most, per flow; the pool may run dry before. */
const QUEUE_BYTES = 32 * 2 ** 20
const QUEUE_SKBS = 8192

export class ReplayFlow {
  readonly #key: FlowKey
  readonly #hash: StreamHash
  readonly #split: boolean
  readonly #stream: Reassembler
  readonly #landed: Landed = { headerPages: 0, pages: 0, netIovs: 0 }
  #packets = 0
  #segments = 0
  #datagramBytes = 0
  #cutPackets = 0
  #cutBytes = 0

  /** `split`: the NIC splits headers from payload. */
  constructor(key: FlowKey, hash: StreamHash, split: boolean) {
    this.#key = key
    this.#split = split
    this.#hash = hash
    // A capture that missed a packet will never have it.
    this.#stream = new Reassembler((skb) => this.#hash.update(skb), {
      queueBytes: QUEUE_BYTES,
      queueSkbs: QUEUE_SKBS,
      whenFull: 'skip',
      awaitSyn: true,
    })
  }

  /** Skbs that wait for what is missing. */
  get waiting(): number {
    return this.#stream.queuedSkbs
  }

  /** Takes over a packet of the flow. */
  receive(skb: AnySkb, layout: FrameLayout): void {
    this.#packets++
    this.#segments += skb.segments
    // Linear bytes of what was not split were pulled out of a page.
    if (this.#split) this.#landed.headerPages += skb.headLength
    else this.#landed.pages += skb.headLength
    if (skb.kind === 'page') this.#landed.pages += skb.dataLength
    else this.#landed.netIovs += skb.dataLength
    const cutBytes = layout.payloadLength - skb.payloadLength
    if (cutBytes > 0) {
      this.#cutPackets++
      this.#cutBytes += cutBytes
      // Its FIN stands behind bytes that are not there: the end is not here.
      layout.tcpFlags &= ~FIN
    }
    if (layout.kind === FrameKind.tcp) {
      this.#stream.receive(skb, layout)
      return
    }
    this.#datagramBytes += skb.payloadLength
    this.#hash.update(skb)
  }

  /** Whether a segment belongs to a later connection between the same ports. */
  startsAnew(layout: FrameLayout): boolean {
    return layout.kind === FrameKind.tcp && this.#stream.startsAnew(layout)
  }

  /** A SYN that has not come by now will not: what waits for it goes on. */
  start(): void {
    this.#stream.start()
  }

  /** Gives up what is missing: whatever waits for it goes on. */
  giveUp(): void {
    this.#stream.flushGaps()
  }

  /** Nothing more comes, and nobody asks for a report. */
  abandon(): void {
    this.#stream.close()
  }

  /** Nothing more comes. */
  async finish(): Promise<FlowReport> {
    this.#stream.flushGaps()
    const stats = this.#stream.stats()
    const { state } = this.#stream
    this.#stream.close()
    const key = this.#key
    const isTcp = key.protocol === IPPROTO_TCP
    return {
      source: key.source,
      sourcePort: key.sourcePort,
      destination: key.destination,
      destinationPort: key.destinationPort,
      protocol: isTcp ? 'tcp' : 'udp',
      packets: this.#packets,
      segments: this.#segments,
      bytes: isTcp ? stats.bytes : this.#datagramBytes,
      sha256: await this.#hash.digest(),
      state: isTcp ? state : '-',
      landed: this.#landed,
      outOfOrder: stats.outOfOrder,
      duplicateBytes: stats.duplicateBytes,
      gaps: stats.gaps,
      gapBytes: stats.gapBytes,
      cutPackets: this.#cutPackets,
      cutBytes: this.#cutBytes,
      dropped: {
        noRoom: stats.dropped,
        noRoomBytes: stats.droppedBytes,
        outOfWindow: stats.outOfWindow,
        afterEndBytes: stats.afterEndBytes,
      },
    }
  }
}
