/** What a replay found. */

import type { DriverQueueStats } from '../host/driver/rx-queue.ts'
import type { FlowTableStats } from '../host/flow/flow-table.ts'
import type { NicStats } from '../rings/nic-types.ts'
import type { FlowReport, Landed } from './replay-flow.ts'

/** What was not delivered to a flow, in packets, and why. */
export interface ReplayDrops {
  /** By the NIC: for want of buffers, memory that was not mapped, a queue that was stopped, no whole Ethernet header. */
  readonly noBuffer: number
  readonly dmaFault: number
  readonly stopped: number
  readonly tooShort: number
  /** By the driver: not split (ARP, fragments and so on) on a queue of device memory. */
  readonly unsplit: number
  /** By the driver: in more pieces than an skb has frags. */
  readonly tooManyFrags: number
  /** Neither TCP nor UDP, or fragments. */
  readonly other: number
  /** Headers that contradict themselves. */
  readonly malformed: number
  /** A wrong checksum: damaged on the way, so that no receiver has taken it. */
  readonly badChecksum: number
  /** More flows than there was room for. */
  readonly tableFull: number
}

/** Sums over all flows. */
export interface ReplayTotals {
  readonly flows: number
  readonly packets: number
  readonly segments: number
  readonly bytes: number
  readonly landed: Landed
  readonly duplicateBytes: number
  readonly gaps: number
  readonly gapBytes: number
}

/** Result of a replay. */
export interface ReplayReport {
  readonly capture: {
    /** Frames that were read, those that the capture had cut among them, and their bytes. */
    readonly frames: number
    readonly cutFrames: number
    readonly bytes: number
    /** Whether the file ended within a record: it was cut off, and what followed is not here. */
    readonly truncated: boolean
    /** Packets of interfaces that are not Ethernet, which were skipped. */
    readonly otherLinkPackets: number
  }
  /** From the first frame to the last hash. */
  readonly seconds: number
  /** Whether all of the capture was replayed: a signal ends it early. */
  readonly complete: boolean
  /** Packets of flows of which only a part was there. */
  readonly cutPackets: number
  /** Packets that were taken with a wrong checksum, since their senders leave checksums to hardware. */
  readonly uncheckedPackets: number
  readonly dropped: ReplayDrops
  /** The NIC's counters, of all queues. */
  readonly nic: NicStats['device']
  /** Each direction of each connection, by its first packet. */
  readonly flows: readonly FlowReport[]
  readonly totals: ReplayTotals
}

/** @internal */
export function makeReport(
  seen: Pick<
    ReplayReport,
    'seconds' | 'complete' | 'cutPackets' | 'uncheckedPackets' | 'nic' | 'flows'
  > & {
    readonly truncated: boolean
    readonly otherLinkPackets: number
  },
  driver: DriverQueueStats,
  table: FlowTableStats,
): ReplayReport {
  const { nic, flows, truncated, otherLinkPackets, ...rest } = seen
  return {
    capture: {
      frames: nic.rx_packets + nic.rx_hw_drops + nic.rx_length_errors,
      cutFrames: nic.rx_truncated,
      bytes: nic.rx_bytes,
      truncated,
      otherLinkPackets,
    },
    ...rest,
    dropped: {
      noBuffer: nic.rx_hw_drop_overruns,
      dmaFault: nic.rx_dma_faults,
      stopped: nic.rx_stopped,
      tooShort: nic.rx_length_errors,
      unsplit: driver.rx_dropped_unsplit,
      tooManyFrags: driver.rx_dropped_frags,
      other: table.otherPackets,
      malformed: table.malformed,
      badChecksum: table.badChecksum,
      tableFull: table.tableFull,
    },
    nic,
    flows,
    totals: sum(flows),
  }
}

function sum(flows: readonly FlowReport[]): ReplayTotals {
  const landed: Landed = { headerPages: 0, pages: 0, netIovs: 0 }
  const totals = { packets: 0, segments: 0, bytes: 0, duplicateBytes: 0, gaps: 0, gapBytes: 0 }
  for (const flow of flows) {
    totals.packets += flow.packets
    totals.segments += flow.segments
    totals.bytes += flow.bytes
    totals.duplicateBytes += flow.duplicateBytes
    totals.gaps += flow.gaps
    totals.gapBytes += flow.gapBytes
    landed.headerPages += flow.landed.headerPages
    landed.pages += flow.landed.pages
    landed.netIovs += flow.landed.netIovs
  }
  return { flows: flows.length, ...totals, landed }
}
