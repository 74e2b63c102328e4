/** Report of a replay. */

import type { Nic } from '../host/device/nic.ts'
import type { NetmemDriver } from '../host/driver/netmem-driver.ts'
import type { NicStats } from '../rings/nic-types.ts'
import type { FlowReport } from './replay-flow.ts'
import type { ReplayFlows } from './replay-flows.ts'

/** Packets that no flow received, by the reason: under the names of the counters that they come from. */
export interface ReplayDrops {
  /** Dropped by the NIC: too few buffers were posted. */
  readonly rx_hw_drop_overruns: number
  /** Dropped by the NIC: a posted buffer was not mapped. */
  readonly rx_dma_faults: number
  /** Dropped by the NIC: the queue was stopped. */
  readonly rx_stopped: number
  /** Dropped by the NIC: no whole Ethernet header. */
  readonly rx_length_errors: number
  /** Dropped by the driver: not split (ARP, fragments and others) on a queue of device memory. */
  readonly rx_dropped_unsplit: number
  /** Dropped by the driver: more pieces than an skb has frags. */
  readonly rx_dropped_frags: number
  /** Packets other than TCP and UDP, and fragments. */
  readonly other_packets: number
  /** Headers that contradict themselves. */
  readonly malformed: number
  /** Packets with a wrong checksum: damaged on the way, so that no receiver has taken them. */
  readonly csum_bad: number
  /** Packets of more flows than the table has room for. */
  readonly table_full: number
}

/** Sums over all flows. */
export interface ReplayTotals
  extends Pick<
    FlowReport,
    'packets' | 'segments' | 'bytes' | 'landed' | 'duplicateBytes' | 'gaps' | 'gapBytes'
  > {
  /** Number of flows, each direction counted. */
  readonly flows: number
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
  nic: Nic,
  driver: NetmemDriver,
  flows: ReplayFlows,
  seen: Pick<ReplayReport, 'seconds' | 'complete' | 'flows'>,
): ReplayReport {
  const { device } = nic.stats()
  const table = flows.stats()
  const queues = [...driver.options.pools.keys()].flatMap((queue) => driver.stats(queue) ?? [])
  const landed = seen.flows.map((flow) => flow.landed)
  return {
    capture: {
      frames: device.rx_packets + device.rx_hw_drops + device.rx_length_errors,
      cutFrames: device.rx_truncated,
      bytes: device.rx_bytes,
      truncated: nic.truncated,
      otherLinkPackets: nic.otherLinkPackets,
    },
    ...seen,
    cutPackets: flows.cutPackets,
    uncheckedPackets: flows.uncheckedPackets,
    dropped: {
      rx_hw_drop_overruns: device.rx_hw_drop_overruns,
      rx_dma_faults: device.rx_dma_faults,
      rx_stopped: device.rx_stopped,
      rx_length_errors: device.rx_length_errors,
      rx_dropped_unsplit: sumOf('rx_dropped_unsplit', queues),
      rx_dropped_frags: sumOf('rx_dropped_frags', queues),
      other_packets: table.other_packets,
      malformed: table.malformed,
      csum_bad: table.csum_bad,
      table_full: table.table_full,
    },
    nic: device,
    totals: {
      flows: seen.flows.length,
      packets: sumOf('packets', seen.flows),
      segments: sumOf('segments', seen.flows),
      bytes: sumOf('bytes', seen.flows),
      landed: {
        headerPages: sumOf('headerPages', landed),
        pages: sumOf('pages', landed),
        netIovs: sumOf('netIovs', landed),
      },
      duplicateBytes: sumOf('duplicateBytes', seen.flows),
      gaps: sumOf('gaps', seen.flows),
      gapBytes: sumOf('gapBytes', seen.flows),
    },
  }
}

function sumOf<Name extends string>(
  name: Name,
  all: readonly { readonly [Key in Name]: number }[],
): number {
  return all.reduce((sum, one) => sum + one[name], 0)
}
