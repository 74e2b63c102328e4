/** All flows of a replay, each direction for itself, in the order of their first packets. */

import { FrameKind, type FrameLayout, parseCutFrame } from '../../wire/frame-layout.ts'
import type { FlowKey } from '../host/flow/flow-key.ts'
import { FlowTable, type FlowTableStats } from '../host/flow/flow-table.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { type FlowReport, ReplayFlow } from './replay-flow.ts'
import { type Sender, SenderChecksums } from './sender-checksums.ts'
import type { StreamHash } from './stream-hash.ts'

/**
 * Packets of all flows after which a flow no longer waits for its SYN. Captures reorder no further,
 * and no more memory waits.
 */
const LATE_PACKETS = 128

/** Ports of a flow, and the present connection between them. */
interface Slot {
  readonly key: FlowKey
  readonly sender: Sender
  flow: ReplayFlow
}

export class ReplayFlows {
  /** Packets of flows, of which the capture has a part only. */
  cutPackets = 0
  readonly #table: FlowTable<Slot>
  readonly #makeHash: () => StreamHash
  readonly #split: boolean
  readonly #seen: (skb: AnySkb, layout: FrameLayout) => void
  readonly #checksums = new SenderChecksums((skb, layout, key) => {
    const slot = this.#table.findOrMake(key)
    if (slot === undefined) skb.free()
    else this.#deliver(slot, skb, layout)
  })
  /** All flows, in the order of their first packets. */
  readonly #flows: ReplayFlow[] = []
  /**
   * Flows that may wait for their SYN, the oldest first, each with the packet number at which its
   * wait ends.
   */
  readonly #starting: { readonly flow: ReplayFlow; readonly until: number }[] = []
  #packets = 0

  /**
   * @param split true if the NIC splits headers from payload.
   * @param seen gets every packet first.
   */
  constructor(
    makeHash: () => StreamHash,
    split: boolean,
    seen: (skb: AnySkb, layout: FrameLayout) => void,
  ) {
    this.#makeHash = makeHash
    this.#split = split
    this.#seen = seen
    this.#table = new FlowTable((key) => {
      return { key, sender: this.#checksums.senderOf(key), flow: this.#begin(key) }
    })
  }

  /** Packets with wrong checksums that were taken, since their senders leave checksums to hardware. */
  get uncheckedPackets(): number {
    return this.#checksums.taken
  }

  /**
   * Returns the counters of the flow table. Cut packets do not count as malformed, and only packets
   * that were dropped count in `csum_bad`.
   */
  stats(): FlowTableStats {
    const stats = this.#table.stats()
    return {
      ...stats,
      malformed: stats.malformed - this.cutPackets,
      matched: stats.matched + this.cutPackets + this.uncheckedPackets,
      csum_bad: this.#checksums.dropped,
    }
  }

  /** Takes over a packet. */
  receive(skb: AnySkb): void {
    const { layout, key } = this.#table
    this.#startDue()
    const { segments } = skb
    const slot = this.#table.demux(skb) ?? this.#findCut(skb)
    this.#seen(skb, layout)
    if (slot !== undefined) {
      if (skb.checksumVerified) this.#checksums.sawRight(slot.sender, skb, layout)
      this.#deliver(slot, skb, layout)
    } else if (skb.checksumBad && layout.headerLength > 0) {
      this.#checksums.sawWrong(skb, layout, key)
    } else skb.free()
    this.#packets += segments
  }

  /**
   * Gives up missing segments, since the packets that wait for them keep memory that others need.
   * The longest queues go first, until half is left.
   */
  giveUp(): void {
    this.#checksums.settle()
    const waiting = this.#flows.flatMap(({ stream }) => (stream.queuedSkbs > 0 ? [stream] : []))
    waiting.sort((a, b) => b.queuedSkbs - a.queuedSkbs)
    let left = waiting.reduce((sum, { queuedSkbs }) => sum + queuedSkbs, 0)
    const enough = Math.floor(left / 2)
    for (const stream of waiting) {
      if (left <= enough) return
      left -= stream.queuedSkbs
      stream.flushGaps()
    }
  }

  /** The report of every flow, after the last packet. */
  finish(): Promise<FlowReport[]> {
    this.#checksums.settle()
    return Promise.all(this.#flows.map((flow) => flow.finish()))
  }

  /** Frees what waits. */
  abandon(): void {
    this.#checksums.abandon()
    for (const { stream } of this.#flows) stream.close()
  }

  #deliver(slot: Slot, skb: AnySkb, layout: FrameLayout): void {
    // A later connection between the same ports.
    if (layout.kind === FrameKind.tcp && slot.flow.stream.startsAnew(layout)) {
      void slot.flow.finish()
      slot.flow = this.#begin(slot.key)
    }
    slot.flow.receive(skb, layout)
  }

  /** Finds the flow of a packet that a capture has cut: it is shorter than its headers say. */
  #findCut(skb: AnySkb): Slot | undefined {
    const { layout, key } = this.#table
    if (layout.kind !== FrameKind.malformed) return undefined
    const { kind } = parseCutFrame(skb.head, 0, skb.headLength, layout)
    if (kind !== FrameKind.tcp && kind !== FrameKind.udp) return undefined
    this.cutPackets++
    skb.payloadOffset = layout.headerLength
    key.read(layout, skb.head)
    return this.#table.findOrMake(key)
  }

  #begin(key: FlowKey): ReplayFlow {
    const flow = new ReplayFlow(key, this.#makeHash(), this.#split)
    this.#flows.push(flow)
    this.#starting.push({ flow, until: this.#packets + LATE_PACKETS })
    return flow
  }

  /** Stops the waits for a SYN that are over. Data that waited for it continues. */
  #startDue(): void {
    let first = this.#starting[0]
    while (first !== undefined && first.until <= this.#packets) {
      first.flow.stream.start()
      this.#starting.shift()
      first = this.#starting[0]
    }
  }
}
