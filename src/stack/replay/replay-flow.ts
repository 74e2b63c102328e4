/** One direction of a flow in a replay: ordered, counted by where it landed, and hashed. */

import { FrameKind, type FrameLayout } from '../../wire/frame-layout.ts'
import { IPPROTO_TCP } from '../../wire/ip.ts'
import { FIN } from '../../wire/tcp.ts'
import type { FlowKey } from '../host/flow/flow-key.ts'
import { Reassembler } from '../host/flow/reassembler.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import type { StreamHash } from './stream-hash.ts'

/** Bytes of packets by where they landed, headers included. Repeated bytes count each time. */
export interface FlowBytes {
  /** Bytes of headers in header pages. The headers of a merged packet count once. */
  headerPages: number
  /** Bytes in pages of host memory. */
  pages: number
  /** Bytes in device memory. */
  netIovs: number
}

/** Report of one direction of a flow. */
export interface FlowReport {
  /** Address of the sender, such as `192.0.2.1`. */
  readonly source: string
  /** 0 to 65,535. */
  readonly sourcePort: number
  /** Address of the receiver. */
  readonly destination: string
  /** 0 to 65,535. */
  readonly destinationPort: number
  /** Protocol above IP. */
  readonly protocol: 'tcp' | 'udp'
  /** Packets received. */
  readonly packets: number
  /** Frames of the capture. The NIC merges several into one packet. */
  readonly segments: number
  /** Bytes of the stream in order, each counted once. Of UDP, all payload as it came. */
  readonly bytes: number
  /** SHA-256 of those bytes, in hexadecimal. */
  readonly sha256: string
  /** State of a TCP stream at the end of the capture. `-` for UDP. */
  readonly state: string
  /** Bytes of the packets by where they landed. */
  readonly landed: FlowBytes
  /** Packets that came out of order. */
  readonly outOfOrder: number
  /** Bytes that were retransmitted or overlapped. */
  readonly duplicateBytes: number
  /** Number of places where bytes are missing. */
  readonly gaps: number
  /** Bytes missing there. */
  readonly gapBytes: number
  /** Packets of which the capture has only a part. */
  readonly cutPackets: number
  /** Bytes of payload that the capture lacks of them. */
  readonly cutBytes: number
  /** Packets and bytes that are not in the stream. */
  readonly dropped: {
    /** Packets without room in the reassembler until the missing bytes before them came. */
    readonly no_room: number
    /** Bytes of payload in those packets. */
    readonly no_room_bytes: number
    /** Packets too far ahead to belong to this stream. */
    readonly out_of_window: number
    /** Bytes behind the end of the stream. */
    readonly after_end_bytes: number
  }
}

/**
 * Limits per flow of the bytes and skbs that wait for a missing segment. The pool may run dry
 * before.
 */
const QUEUE_BYTES = 32 * 2 ** 20
const QUEUE_SKBS = 8192

export class ReplayFlow {
  readonly #key: FlowKey
  readonly #hash: StreamHash
  readonly #split: boolean
  /** Puts the packets in order. */
  readonly stream: Reassembler
  readonly #landed: FlowBytes = { headerPages: 0, pages: 0, netIovs: 0 }
  readonly #seen = { packets: 0, segments: 0, cutPackets: 0, cutBytes: 0 }
  #datagramBytes = 0
  #report: Promise<FlowReport> | undefined

  /** @param split true if the NIC splits headers from payload. */
  constructor(key: FlowKey, hash: StreamHash, split: boolean) {
    this.#key = key
    this.#split = split
    this.#hash = hash
    // A capture that missed a packet will never have it.
    this.stream = new Reassembler((skb) => this.#hash.update(skb), {
      queueBytes: QUEUE_BYTES,
      queueSkbs: QUEUE_SKBS,
      whenFull: 'skip',
      awaitSyn: true,
    })
  }

  /** Takes over a packet of the flow. */
  receive(skb: AnySkb, layout: FrameLayout): void {
    const seen = this.#seen
    seen.packets++
    seen.segments += skb.segments
    // Linear bytes of an unsplit packet were pulled out of a page.
    if (this.#split) this.#landed.headerPages += skb.headLength
    else this.#landed.pages += skb.headLength
    if (skb.kind === 'page') this.#landed.pages += skb.dataLength
    else this.#landed.netIovs += skb.dataLength
    const cutBytes = layout.payloadLength - skb.payloadLength
    if (cutBytes > 0) {
      seen.cutPackets++
      seen.cutBytes += cutBytes
      // The segment's FIN is behind missing bytes, so the stream does not end here.
      layout.tcpFlags &= ~FIN
    }
    if (layout.kind === FrameKind.tcp) {
      this.stream.receive(skb, layout)
      return
    }
    this.#datagramBytes += skb.payloadLength
    this.#hash.update(skb)
  }

  /** Ends the flow and returns its report. */
  finish(): Promise<FlowReport> {
    this.#report ??= this.#end()
    // The caller who waits for all reports gets the error.
    this.#report.catch(() => {})
    return this.#report
  }

  async #end(): Promise<FlowReport> {
    this.stream.flushGaps()
    const stats = this.stream.stats()
    const { state } = this.stream
    this.stream.close()
    const key = this.#key
    const isTcp = key.protocol === IPPROTO_TCP
    return {
      source: key.source,
      sourcePort: key.sourcePort,
      destination: key.destination,
      destinationPort: key.destinationPort,
      protocol: isTcp ? 'tcp' : 'udp',
      ...this.#seen,
      bytes: isTcp ? stats.bytes : this.#datagramBytes,
      sha256: await this.#hash.digest(),
      state: isTcp ? state : '-',
      landed: this.#landed,
      outOfOrder: stats.out_of_order,
      duplicateBytes: stats.duplicate_bytes,
      gaps: stats.gaps,
      gapBytes: stats.gap_bytes,
      dropped: {
        no_room: stats.dropped,
        no_room_bytes: stats.dropped_bytes,
        out_of_window: stats.out_of_window,
        after_end_bytes: stats.after_end_bytes,
      },
    }
  }
}
