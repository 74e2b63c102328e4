/** Counters as the NIC counts them: fields that go up, read out as plain data. */

import type { RxQstats, RxQueueStats, TxQstats, TxQueueStats } from './nic-types.ts'

export class RxCounters implements RxQueueStats {
  rx_packets = 0
  rx_bytes = 0
  rx_dropped = 0
  rx_out_of_buffer = 0
  rx_dma_faults = 0
  rx_stopped = 0
  rx_csum_ok = 0
  rx_csum_bad = 0
  rx_csum_none = 0
  rx_hsplit_packets = 0
  rx_hsplit_unsplit = 0
  rx_gro_packets = 0
  rx_gro_bytes = 0
  rx_gro_wire_packets = 0
  rx_gro_wire_bytes = 0
  rx_truncated = 0

  add(other: RxQueueStats): void {
    this.rx_packets += other.rx_packets
    this.rx_bytes += other.rx_bytes
    this.rx_dropped += other.rx_dropped
    this.rx_out_of_buffer += other.rx_out_of_buffer
    this.rx_dma_faults += other.rx_dma_faults
    this.rx_stopped += other.rx_stopped
    this.rx_csum_ok += other.rx_csum_ok
    this.rx_csum_bad += other.rx_csum_bad
    this.rx_csum_none += other.rx_csum_none
    this.rx_hsplit_packets += other.rx_hsplit_packets
    this.rx_hsplit_unsplit += other.rx_hsplit_unsplit
    this.rx_gro_packets += other.rx_gro_packets
    this.rx_gro_bytes += other.rx_gro_bytes
    this.rx_gro_wire_packets += other.rx_gro_wire_packets
    this.rx_gro_wire_bytes += other.rx_gro_wire_bytes
    this.rx_truncated += other.rx_truncated
  }
}

export class TxCounters implements TxQueueStats {
  tx_packets = 0
  tx_bytes = 0
  tx_dropped = 0
  tx_dma_faults = 0
  tx_length_errors = 0
  tx_csum_offload = 0
  tx_csum_none = 0

  add(other: TxQueueStats): void {
    this.tx_packets += other.tx_packets
    this.tx_bytes += other.tx_bytes
    this.tx_dropped += other.tx_dropped
    this.tx_dma_faults += other.tx_dma_faults
    this.tx_length_errors += other.tx_length_errors
    this.tx_csum_offload += other.tx_csum_offload
    this.tx_csum_none += other.tx_csum_none
  }
}

/** Receive counters of a queue or of the device under the names of qstats. */
export function toRxQstats(stats: RxQueueStats): RxQstats {
  return {
    'rx-packets': stats.rx_packets,
    'rx-bytes': stats.rx_bytes,
    'rx-hw-drops': stats.rx_dropped,
    'rx-hw-drop-overruns': stats.rx_out_of_buffer,
    'rx-csum-unnecessary': stats.rx_csum_ok,
    'rx-csum-none': stats.rx_csum_none,
    'rx-csum-bad': stats.rx_csum_bad,
    'rx-hw-gro-packets': stats.rx_gro_packets,
    'rx-hw-gro-bytes': stats.rx_gro_bytes,
    'rx-hw-gro-wire-packets': stats.rx_gro_wire_packets,
    'rx-hw-gro-wire-bytes': stats.rx_gro_wire_bytes,
  }
}

/** Transmit counters of a queue or of the device under the names of qstats. */
export function toTxQstats(stats: TxQueueStats): TxQstats {
  return {
    'tx-packets': stats.tx_packets,
    'tx-bytes': stats.tx_bytes,
    'tx-hw-drops': stats.tx_dropped,
    'tx-hw-drop-errors': stats.tx_dropped,
    'tx-csum-none': stats.tx_csum_none,
    'tx-needs-csum': stats.tx_csum_offload,
  }
}
