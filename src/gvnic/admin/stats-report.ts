/**
 * Statistics report: an array in the guest's memory that the driver and the card fill. `ethtool -S` shows
 * the card's counters from its end (K: gve_adminq.h, struct stats, and gve_ethtool.c).
 */

import { type Counters, RxCounter } from '../../stack/rings/nic-counters.ts'
import { addressAt, type GuestDma } from '../guest-dma.ts'
import { type Handler, Status } from './admin-layout.ts'

const HEADER_BYTES = 8
const ENTRY_BYTES = 16
const MAX_REPORT_BYTES = 2 ** 20
const HIGH_WORD = 2 ** 32
/** Ms between two reports. The driver's interval of 20 s would show old numbers. */
const INTERVAL_MS = 250

/** Names of the card's counters, in the order of the driver's. */
const QUEUE_DROPS = 65
const NO_BUFFERS = 66
const OVER_MRU = 67
const INVALID_CHECKSUM = 68
const NAMES = [QUEUE_DROPS, NO_BUFFERS, OVER_MRU, INVALID_CHECKSUM]

export class StatsReport {
  readonly #guest: GuestDma
  #address = 0
  /** 0 while the driver wants no report. */
  #bytes = 0
  #writtenMs = Number.NEGATIVE_INFINITY

  constructor(guest: GuestDma) {
    this.#guest = guest
  }

  /** Starts the report, or ends it with a length of 0. */
  readonly configure: Handler = (command) => {
    const bytes = addressAt(command, 0)
    if (bytes === 0) {
      this.stop()
      return Status.passed
    }
    const address = addressAt(command, 8)
    if (bytes < HEADER_BYTES || bytes > MAX_REPORT_BYTES) return Status.invalidArgument
    if (!this.#guest.isWritable(address, bytes)) return Status.invalidArgument
    this.#address = address
    this.#bytes = bytes
    this.#writtenMs = Number.NEGATIVE_INFINITY
    return Status.passed
  }

  stop(): void {
    this.#bytes = 0
  }

  /** True once a report is to be written. */
  isDue(nowMs: number): boolean {
    return this.#bytes > 0 && nowMs - this.#writtenMs >= INTERVAL_MS
  }

  /**
   * Writes the report.
   *
   * @param queues started receive queues, by ascending number, with their counters.
   */
  write(nowMs: number, queues: readonly (readonly [queue: number, counters: Counters])[]): void {
    this.#writtenMs = nowMs
    const bytes = queues.length * NAMES.length * ENTRY_BYTES
    // The driver looks for them at the end of the array.
    if (bytes > this.#bytes - HEADER_BYTES) return
    const report = new DataView(new ArrayBuffer(bytes))
    let at = 0
    for (const [queue, counters] of queues) {
      for (const name of NAMES) {
        const value = counterOf(name, counters)
        report.setUint32(at, name)
        report.setUint32(at + 4, queue)
        report.setUint32(at + 8, Math.floor(value / HIGH_WORD))
        report.setUint32(at + 12, value % HIGH_WORD)
        at += ENTRY_BYTES
      }
    }
    this.#guest.write(this.#address + this.#bytes - bytes, new Uint8Array(report.buffer))
  }
}

function counterOf(name: number, counters: Counters): number {
  switch (name) {
    case QUEUE_DROPS:
      return counters.read(RxCounter.rx_hw_drops)
    case NO_BUFFERS:
      return counters.read(RxCounter.rx_hw_drop_overruns)
    case OVER_MRU:
      return counters.read(RxCounter.rx_over_mru)
    default:
      return counters.read(RxCounter.rx_csum_bad)
  }
}
