/** One direction of a flow in a replay: put in order, counted by where it landed, hashed. */

import { createHash } from 'node:crypto'
import type { FlowKey } from '../flow/flow-key.ts'
import { Reassembler } from '../flow/reassembler.ts'
import type { AnySkb } from '../skb/skb.ts'
import { FrameKind, type FrameLayout } from '../wire/frame-layout.ts'

/** Where the payload of a flow landed, in bytes; bytes that arrived twice are in it twice. */
export interface Landed {
  /** In header pages, beside the headers. */
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
  /** Frames that the NIC made one packet of count each. */
  readonly segments: number
  /** Bytes of the stream, each once, in order; of UDP, all payload as it came. */
  readonly bytes: number
  /** Of those bytes. */
  readonly sha256: string
  /** How a TCP stream stood at the end of the capture. */
  readonly state: string
  readonly landed: Landed
  readonly outOfOrder: number
  readonly duplicateBytes: number
  /** Places where bytes are missing, and how many. */
  readonly gaps: number
  readonly gapBytes: number
  readonly dropped: Readonly<Record<string, number>>
}

/** Hashes a stream whose bytes may be where the host cannot read. Takes skbs over. */
export interface StreamHash {
  update(skb: AnySkb): void
  digest(): Promise<string>
}

export class ReplayFlow {
  readonly #key: FlowKey
  readonly #hash: StreamHash
  readonly #stream: Reassembler
  readonly #landed: Landed = { headerPages: 0, pages: 0, netIovs: 0 }
  #packets = 0
  #segments = 0
  #datagramBytes = 0

  constructor(key: FlowKey, hash: StreamHash, queueBytes: number) {
    this.#key = key
    this.#hash = hash
    // A capture that missed a packet will never have it.
    this.#stream = new Reassembler((skb) => this.#hash.update(skb), {
      queueBytes,
      whenFull: 'skip',
    })
  }

  receive(skb: AnySkb, layout: FrameLayout): void {
    this.#packets++
    this.#segments += skb.segments
    this.#landed.headerPages += skb.headLength - skb.payloadOffset
    if (skb.kind === 'page') this.#landed.pages += skb.dataLength
    else this.#landed.netIovs += skb.dataLength
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

  /** Nothing more comes. */
  async finish(): Promise<FlowReport> {
    this.#stream.flushGaps()
    const { bytes, outOfOrder, duplicateBytes, gaps, gapBytes, ...dropped } = this.#stream.stats()
    const { state } = this.#stream
    this.#stream.close()
    const key = this.#key
    const tcp = key.protocol === 6
    return {
      source: key.source,
      sourcePort: key.sourcePort,
      destination: key.destination,
      destinationPort: key.destinationPort,
      protocol: tcp ? 'tcp' : 'udp',
      packets: this.#packets,
      segments: this.#segments,
      bytes: tcp ? bytes : this.#datagramBytes,
      sha256: await this.#hash.digest(),
      state: tcp ? state : '-',
      landed: this.#landed,
      outOfOrder,
      duplicateBytes,
      gaps,
      gapBytes,
      dropped: { ...dropped },
    }
  }
}

/** Hashes what the host can read, at once. */
export class HostHash implements StreamHash {
  readonly #hash = createHash('sha256')

  update(skb: AnySkb): void {
    if (skb.kind === 'page') {
      if (skb.headLength > skb.payloadOffset) {
        this.#hash.update(skb.head.subarray(skb.payloadOffset, skb.headLength))
      }
      for (let at = 0; at < skb.fragCount; at++) {
        const page = skb.frags[at]
        if (page === undefined) continue
        const offset = skb.offsets[at] ?? 0
        this.#hash.update(skb.owner.bytes(page).subarray(offset, offset + (skb.lengths[at] ?? 0)))
      }
    }
    skb.free()
  }

  digest(): Promise<string> {
    return Promise.resolve(this.#hash.digest('hex'))
  }
}
