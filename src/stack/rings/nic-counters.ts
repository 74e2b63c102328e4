/**
 * Counters of a NIC, in memory that both threads share. The device's thread writes them, and any
 * thread reads them at any time without a message.
 *
 * A counter is a double, exact up to 2^53. It has one writer, and 64-bit processors load and store
 * its 8 aligned bytes at once, so it needs no lock (as in Linux, include/linux/u64_stats_sync.h).
 */

import type { NicDeviceStats, NicStats, RxQueueStats, TxQueueStats } from './nic-types.ts'

/** Places of a receive queue's counters. */
export const RxCounter: Readonly<Record<keyof RxQueueStats, number>> = {
  rx_packets: 0,
  rx_bytes: 1,
  rx_hw_drops: 2,
  rx_hw_drop_overruns: 3,
  rx_dma_faults: 4,
  rx_stopped: 5,
  rx_csum_unnecessary: 6,
  rx_csum_bad: 7,
  rx_csum_none: 8,
  rx_hsplit_packets: 9,
  rx_hsplit_unsplit: 10,
  rx_hw_gro_packets: 11,
  rx_hw_gro_bytes: 12,
  rx_hw_gro_wire_packets: 13,
  rx_hw_gro_wire_bytes: 14,
  rx_truncated: 15,
  rx_over_mru: 16,
}

/** Places of a transmit queue's counters. */
export const TxCounter: Readonly<Record<keyof TxQueueStats, number>> = {
  tx_packets: 0,
  tx_bytes: 1,
  tx_hw_drops: 2,
  tx_dma_faults: 3,
  tx_hw_drop_errors: 4,
  tx_needs_csum: 5,
  tx_csum_none: 6,
  tx_hw_gso_packets: 7,
  tx_hw_gso_bytes: 8,
  tx_hw_gso_wire_packets: 9,
  tx_hw_gso_wire_bytes: 10,
}

/** Places of the counters that belong to no queue. */
export const DeviceCounter: Readonly<Record<keyof NicDeviceStats, number>> = {
  rx_length_errors: 0,
  rx_steered: 1,
  tx_pause_frames: 2,
}

/** Place of the device's block that is 1 while the NIC pauses its link. */
const PAUSED = 3

// Doubles of a block: whole cache lines, so that threads do not share one.
const DEVICE_BLOCK = 8
const RX_BLOCK = 24
const TX_BLOCK = 16

/** One block of counters, of a queue or of the device. */
export class Counters {
  readonly #counts: Float64Array

  constructor(counts: Float64Array) {
    this.#counts = counts
  }

  /** Adds to the counter at a place. */
  add(place: number, count = 1): void {
    this.#counts[place] = (this.#counts[place] ?? 0) + count
  }

  read(place: number): number {
    return this.#counts[place] ?? 0
  }

  write(place: number, value: number): void {
    this.#counts[place] = value
  }
}

/** All counters of one NIC. */
export class NicCounters {
  /** Crosses `postMessage`. */
  readonly memory: SharedArrayBuffer
  readonly device: Counters
  readonly rx: readonly Counters[]
  readonly tx: readonly Counters[]

  /** Lays the counters out in `memory`. Default: new memory, all 0. */
  constructor(
    rxQueues: number,
    txQueues: number,
    memory: SharedArrayBuffer = new SharedArrayBuffer(
      8 * (DEVICE_BLOCK + rxQueues * RX_BLOCK + txQueues * TX_BLOCK),
    ),
  ) {
    this.memory = memory
    const counts = new Float64Array(memory)
    let at = 0
    const block = (length: number): Counters => {
      at += length
      return new Counters(counts.subarray(at - length, at))
    }
    this.device = block(DEVICE_BLOCK)
    this.rx = Array.from({ length: rxQueues }, () => block(RX_BLOCK))
    this.tx = Array.from({ length: txQueues }, () => block(TX_BLOCK))
  }

  /** True while the NIC pauses its link because a queue has no buffers. */
  get paused(): boolean {
    return this.device.read(PAUSED) === 1
  }

  set paused(paused: boolean) {
    this.device.write(PAUSED, paused ? 1 : 0)
  }

  /** Returns the counters as they are now. */
  stats(): NicStats {
    const { device, rx, tx } = this
    return {
      device: {
        ...rxStats((place) => sum(rx, place)),
        ...txStats((place) => sum(tx, place)),
        rx_length_errors: device.read(DeviceCounter.rx_length_errors),
        rx_steered: device.read(DeviceCounter.rx_steered),
        tx_pause_frames: device.read(DeviceCounter.tx_pause_frames),
      },
      rxQueues: rx.map((queue) => rxStats((place) => queue.read(place))),
      txQueues: tx.map((queue) => txStats((place) => queue.read(place))),
    }
  }
}

function sum(queues: readonly Counters[], place: number): number {
  return queues.reduce((total, queue) => total + queue.read(place), 0)
}

function rxStats(read: (place: number) => number): RxQueueStats {
  return {
    rx_packets: read(RxCounter.rx_packets),
    rx_bytes: read(RxCounter.rx_bytes),
    rx_hw_drops: read(RxCounter.rx_hw_drops),
    rx_hw_drop_overruns: read(RxCounter.rx_hw_drop_overruns),
    rx_dma_faults: read(RxCounter.rx_dma_faults),
    rx_stopped: read(RxCounter.rx_stopped),
    rx_csum_unnecessary: read(RxCounter.rx_csum_unnecessary),
    rx_csum_bad: read(RxCounter.rx_csum_bad),
    rx_csum_none: read(RxCounter.rx_csum_none),
    rx_hsplit_packets: read(RxCounter.rx_hsplit_packets),
    rx_hsplit_unsplit: read(RxCounter.rx_hsplit_unsplit),
    rx_hw_gro_packets: read(RxCounter.rx_hw_gro_packets),
    rx_hw_gro_bytes: read(RxCounter.rx_hw_gro_bytes),
    rx_hw_gro_wire_packets: read(RxCounter.rx_hw_gro_wire_packets),
    rx_hw_gro_wire_bytes: read(RxCounter.rx_hw_gro_wire_bytes),
    rx_truncated: read(RxCounter.rx_truncated),
    rx_over_mru: read(RxCounter.rx_over_mru),
  }
}

function txStats(read: (place: number) => number): TxQueueStats {
  return {
    tx_packets: read(TxCounter.tx_packets),
    tx_bytes: read(TxCounter.tx_bytes),
    tx_hw_drops: read(TxCounter.tx_hw_drops),
    tx_dma_faults: read(TxCounter.tx_dma_faults),
    tx_hw_drop_errors: read(TxCounter.tx_hw_drop_errors),
    tx_needs_csum: read(TxCounter.tx_needs_csum),
    tx_csum_none: read(TxCounter.tx_csum_none),
    tx_hw_gso_packets: read(TxCounter.tx_hw_gso_packets),
    tx_hw_gso_bytes: read(TxCounter.tx_hw_gso_bytes),
    tx_hw_gso_wire_packets: read(TxCounter.tx_hw_gso_wire_packets),
    tx_hw_gso_wire_bytes: read(TxCounter.tx_hw_gso_wire_bytes),
  }
}
