/** All flows of a replay, each direction for itself, in the order of their first packets. */

import type { FlowKey } from '../flow/flow-key.ts'
import { FlowTable, type FlowTableStats } from '../flow/flow-table.ts'
import type { AnySkb } from '../skb/skb.ts'
import { FrameKind, type FrameLayout, parseFrame } from '../wire/frame-layout.ts'
import { type FlowReport, ReplayFlow } from './replay-flow.ts'
import type { StreamHash } from './stream-hash.ts'

/** Longer than IP's length fields can say. */
const LONGEST = 2 ** 17

/** Packets, of all flows, after which a flow's SYN is not waited for: further nothing is overtaken, and no more memory waits. */
const LATE_PACKETS = 128

/** The ports of a flow, and which of the connections between them there is now. */
interface Slot {
  readonly key: FlowKey
  flow: ReplayFlow
}

export class ReplayFlows {
  readonly #table: FlowTable<Slot>
  readonly #makeHash: () => StreamHash
  readonly #split: boolean
  readonly #open = new Set<ReplayFlow>()
  /** A report for each flow, pending while it goes on. */
  readonly #reports = new Map<ReplayFlow, Promise<FlowReport> | undefined>()
  /** Flows that may wait for their SYN, oldest first, and the packet with which each has waited long enough. */
  readonly #starting: { readonly flow: ReplayFlow; readonly until: number }[] = []
  #packets = 0
  #cut = 0

  /** `split`: the NIC splits headers from payload. */
  constructor(makeHash: () => StreamHash, split: boolean) {
    this.#makeHash = makeHash
    this.#split = split
    this.#table = new FlowTable((key) => ({ key, flow: this.#begin(key) }))
  }

  /** Of the packet that {@link find} was asked last. */
  get layout(): FrameLayout {
    return this.#table.layout
  }

  /** Packets of flows, of which the capture has a part only. */
  get cut(): number {
    return this.#cut
  }

  /** Its counters; a cut packet is not malformed. */
  stats(): FlowTableStats {
    const stats = this.#table.stats()
    return { ...stats, malformed: stats.malformed - this.#cut, matched: stats.matched + this.#cut }
  }

  /** The flow that a packet is of, made if it is new; `undefined` where it has none. The skb remains the caller's. */
  find(skb: AnySkb): ReplayFlow | undefined {
    const { layout } = this.#table
    this.#packets++
    if (this.#starting.length > 0) this.#startDue()
    const slot = this.#table.demux(skb) ?? this.#findCut(skb)
    if (slot === undefined) return undefined
    if (slot.flow.startsAnew(layout)) {
      this.#end(slot.flow)
      slot.flow = this.#begin(slot.key)
    }
    return slot.flow
  }

  /** Lets go on what waits for missing segments, since it keeps memory that others need: the longest queues first, until half is left. */
  giveUp(): void {
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
    for (const flow of [...this.#open]) this.#end(flow)
    const reports: Promise<FlowReport>[] = []
    for (const report of this.#reports.values()) if (report !== undefined) reports.push(report)
    return Promise.all(reports)
  }

  /** Frees what waits. */
  abandon(): void {
    for (const flow of this.#open) flow.abandon()
    this.#open.clear()
  }

  /** A packet that is shorter than its headers say: a capture has cut it. */
  #findCut(skb: AnySkb): Slot | undefined {
    const { layout, key } = this.#table
    if (layout.kind !== FrameKind.malformed) return undefined
    const { kind } = parseFrame(skb.head, 0, skb.headLength, layout, LONGEST)
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
    // Whoever waits for all of them hears of it.
    report.catch(() => {})
    this.#reports.set(flow, report)
  }
}
