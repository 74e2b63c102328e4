/** All flows of a replay, each direction for itself, in the order of their first packets. */

import { FrameKind, type FrameLayout, parseCutFrame, parseFrame } from '../../wire/frame-layout.ts'
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
  readonly #table: FlowTable<Slot>
  readonly #makeHash: () => StreamHash
  readonly #split: boolean
  readonly #seen: ((skb: AnySkb, layout: FrameLayout) => void) | undefined
  readonly #checksums = new SenderChecksums((skb) => this.#takeHeld(skb))
  readonly #open = new Set<ReplayFlow>()
  /** Reports of flows. `undefined` while a flow is open. */
  readonly #reports = new Map<ReplayFlow, Promise<FlowReport> | undefined>()
  /**
   * Flows that may wait for their SYN, the oldest first, each with the packet number at which its
   * wait ends.
   */
  readonly #starting: { readonly flow: ReplayFlow; readonly until: number }[] = []
  #packets = 0
  #cut = 0
  #uncheckedPackets = 0

  /**
   * @param split true if the NIC splits headers from payload.
   * @param seen gets every packet first.
   */
  constructor(
    makeHash: () => StreamHash,
    split: boolean,
    seen?: (skb: AnySkb, layout: FrameLayout) => void,
  ) {
    this.#makeHash = makeHash
    this.#split = split
    this.#seen = seen
    this.#table = new FlowTable((key) => {
      return { key, sender: this.#checksums.senderOf(key), flow: this.#begin(key) }
    })
  }

  /** Packets of flows, of which the capture has a part only. */
  get cut(): number {
    return this.#cut
  }

  /** Packets with wrong checksums that were taken, since their senders leave checksums to hardware. */
  get uncheckedPackets(): number {
    return this.#uncheckedPackets
  }

  /**
   * Returns the counters of the flow table. Cut packets do not count as malformed, and only packets
   * that were dropped count in `badChecksum`.
   */
  stats(): FlowTableStats {
    const stats = this.#table.stats()
    return {
      ...stats,
      malformed: stats.malformed - this.#cut,
      matched: stats.matched + this.#cut + this.#uncheckedPackets,
      badChecksum: this.#checksums.dropped,
    }
  }

  /** Takes over a packet. */
  receive(skb: AnySkb): void {
    const { layout, key } = this.#table
    if (this.#starting.length > 0) this.#startDue()
    const { segments } = skb
    const slot = this.#table.demux(skb) ?? this.#findCut(skb)
    this.#seen?.(skb, layout)
    if (slot !== undefined) {
      const { sender } = slot
      if (skb.checksumVerified) this.#checksums.sawRight(sender, skb, layout)
      this.#deliver(slot, skb)
    } else if (skb.checksumBad && layout.headerLength > 0) {
      const sender = this.#checksums.senderOf(key)
      const verdict = this.#checksums.judge(sender, layout)
      if (verdict === 'drop') this.#checksums.drop(skb)
      else if (verdict === 'hold') this.#checksums.hold(sender, skb)
      else this.#takeUnchecked(skb)
    } else skb.free()
    this.#packets += segments
  }

  /**
   * Gives up missing segments, since the packets that wait for them keep memory that others need.
   * The longest queues go first, until half is left.
   */
  giveUp(): void {
    this.#checksums.settle()
    const flows = [...this.#open].filter(({ waiting }) => waiting > 0)
    flows.sort((a, b) => b.waiting - a.waiting)
    let left = flows.reduce((sum, { waiting }) => sum + waiting, 0)
    const enough = Math.floor(left / 2)
    for (const flow of flows) {
      if (left <= enough) return
      left -= flow.waiting
      flow.giveUp()
    }
  }

  /** The report of every flow, after the last packet. */
  finish(): Promise<FlowReport[]> {
    this.#checksums.settle()
    for (const flow of [...this.#open]) this.#end(flow)
    const reports: Promise<FlowReport>[] = []
    for (const report of this.#reports.values()) if (report !== undefined) reports.push(report)
    return Promise.all(reports)
  }

  /** Frees what waits. */
  abandon(): void {
    this.#checksums.abandon()
    for (const flow of this.#open) flow.abandon()
    this.#open.clear()
  }

  #deliver(slot: Slot, skb: AnySkb): void {
    const { layout } = this.#table
    if (slot.flow.startsAnew(layout)) {
      this.#end(slot.flow)
      slot.flow = this.#begin(slot.key)
    }
    slot.flow.receive(skb, layout)
  }

  /** Delivers a packet although its checksum is wrong. The table's layout and key are its own. */
  #takeUnchecked(skb: AnySkb): void {
    this.#uncheckedPackets++
    const slot = this.#table.findOrMake(this.#table.key)
    if (slot === undefined) skb.free()
    else this.#deliver(slot, skb)
  }

  #takeHeld(skb: AnySkb): void {
    const { layout, key } = this.#table
    parseFrame(skb.head, 0, skb.headLength, layout, skb.headLength + skb.dataLength)
    key.read(layout, skb.head)
    this.#takeUnchecked(skb)
  }

  /** Finds the flow of a packet that a capture has cut: it is shorter than its headers say. */
  #findCut(skb: AnySkb): Slot | undefined {
    const { layout, key } = this.#table
    if (layout.kind !== FrameKind.malformed) return undefined
    const { kind } = parseCutFrame(skb.head, 0, skb.headLength, layout)
    if (kind !== FrameKind.tcp && kind !== FrameKind.udp) return undefined
    this.#cut++
    skb.payloadOffset = layout.headerLength
    key.read(layout, skb.head)
    return this.#table.findOrMake(key)
  }

  #begin(key: FlowKey): ReplayFlow {
    const flow = new ReplayFlow(key, this.#makeHash(), this.#split)
    this.#open.add(flow)
    this.#starting.push({ flow, until: this.#packets + LATE_PACKETS })
    this.#reports.set(flow, undefined)
    return flow
  }

  #startDue(): void {
    for (
      let first = this.#starting[0];
      first !== undefined && first.until <= this.#packets;
      first = this.#starting[0]
    ) {
      this.#starting.shift()
      first.flow.start()
    }
  }

  #end(flow: ReplayFlow): void {
    this.#open.delete(flow)
    const report = flow.finish()
    // The caller who waits for all reports gets the error.
    report.catch(() => {})
    this.#reports.set(flow, report)
  }
}
