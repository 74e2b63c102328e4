/** Report of a replay. */

import type { DriverQueueStats } from '../host/driver/rx-queue.ts'
import type { FlowTableStats } from '../host/flow/flow-table.ts'
import type { NicStats } from '../rings/nic-types.ts'
import type { FlowBytes, FlowReport } from './replay-flow.ts'

/** Packets that no flow received, by the reason. */
export interface ReplayDrops {
  /** Dropped by the NIC: too few buffers were posted. */
  readonly noBuffer: number
  /** Dropped by the NIC: a posted buffer was not mapped. */
  readonly dmaFault: number
  /** Dropped by the NIC: the queue was stopped. */
  readonly stopped: number
  /** Dropped by the NIC: no whole Ethernet header. */
  readonly tooShort: number
  /** Dropped by the driver: not split (ARP, fragments and others) on a queue of device memory. */
  readonly unsplit: number
  /** Dropped by the driver: more pieces than an skb has frags. */
  readonly tooManyFrags: number
  /** Packets other than TCP and UDP, and fragments. */
  readonly other: number
  /** Headers that contradict themselves. */
  readonly malformed: number
  /** Packets with a wrong checksum: damaged on the way, so that no receiver has taken them. */
  readonly badChecksum: number
  /** Packets of more flows than the table has room for. */
  readonly tableFull: number
}

/** Sums over all flows. */
export interface ReplayTotals {
  /** Number of flows, each direction counted. */
  readonly flows: number
  /** Packets received. */
  readonly packets: number
  /** Frames of the capture. */
  readonly segments: number
  /** Bytes of the streams, each counted once. */
  readonly bytes: number
  /** Bytes of the packets by where they landed. */
  readonly landed: FlowBytes
  /** Bytes that were retransmitted or overlapped. */
  readonly duplicateBytes: number
  /** Number of places where bytes are missing. */
  readonly gaps: number
  /** Bytes missing there. */
  readonly gapBytes: number
}

/** Result of a replay. */
export interface ReplayReport {
  /** Contents of the capture file. */
  readonly capture: {
    /** Frames read, cut ones included. */
    readonly frames: number
    /** Frames of which the capture has only a part. */
    readonly cutFrames: number
    /** Bytes of the frames. */
    readonly bytes: number
    /** True if the file ended within a record: it was cut off, and the rest is missing. */
    readonly truncated: boolean
    /** Packets skipped because their interface is not Ethernet. */
    readonly otherLinkPackets: number
  }
  /** Seconds from the first frame to the last hash. */
  readonly seconds: number
  /** True if the whole capture was replayed. A signal ends a replay early. */
  readonly complete: boolean
  /** Packets of flows that the capture has cut. */
  readonly cutPackets: number
  /** Packets taken with a wrong checksum, since their senders leave checksums to hardware. */
  readonly uncheckedPackets: number
  /** Packets that no flow received. */
  readonly dropped: ReplayDrops
  /** Counters of the NIC, of all queues together. */
  readonly nic: NicStats['device']
  /** Reports of each direction of each connection, by first packet. */
  readonly flows: readonly FlowReport[]
  /** Sums over all flows. */
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
  const landed: FlowBytes = { headerPages: 0, pages: 0, netIovs: 0 }
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
