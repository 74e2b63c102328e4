/**
 * Counts of the frames that a receive queue has delivered in a batch. They go to the queue's counters at
 * its end: additions of doubles in shared memory took a tenth of a short frame's time.
 */

import { ChecksumResult } from '../../../wire/frame-checksums.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'
import { segmentsOf } from '../../link/link.ts'
import { type Counters, RxCounter } from '../../rings/nic-counters.ts'

export class RxCounts {
  /** Packets that were not added to the counters yet. */
  packets = 0
  readonly #counters: Counters
  #bytes = 0
  #verified = 0
  #unverified = 0
  #split = 0

  constructor(counters: Counters) {
    this.#counters = counters
  }

  /**
   * Counts a frame.
   *
   * @param linear bytes in its header buffer.
   */
  add(
    length: number,
    segmentBytes: number,
    layout: FrameLayout,
    checksum: number,
    linear: number,
  ): void {
    let segments = 1
    let wireBytes = length
    if (segmentBytes > 0) {
      segments = segmentsOf(layout.payloadLength, segmentBytes)
      wireBytes += (segments - 1) * layout.headerLength
      if (segments > 1) this.addCoalesced(segments, length, wireBytes)
    }
    this.packets += segments
    this.#bytes += wireBytes
    if (checksum === ChecksumResult.ok) this.#verified += segments
    else if (checksum === ChecksumResult.none) this.#unverified += segments
    if (linear > 0) this.#split += segments
  }

  /** Counts a packet that was made of several segments. */
  addCoalesced(segments: number, bytes: number, wireBytes: number): void {
    const counters = this.#counters
    counters.add(RxCounter.rx_hw_gro_packets)
    counters.add(RxCounter.rx_hw_gro_bytes, bytes)
    counters.add(RxCounter.rx_hw_gro_wire_packets, segments)
    counters.add(RxCounter.rx_hw_gro_wire_bytes, wireBytes)
  }

  /** Adds all to the counters. `splits` is true of a queue that splits headers. */
  flush(splits: boolean): void {
    const counters = this.#counters
    counters.add(RxCounter.rx_packets, this.packets)
    counters.add(RxCounter.rx_bytes, this.#bytes)
    counters.add(RxCounter.rx_csum_unnecessary, this.#verified)
    counters.add(RxCounter.rx_csum_none, this.#unverified)
    counters.add(RxCounter.rx_csum_bad, this.packets - this.#verified - this.#unverified)
    counters.add(RxCounter.rx_hsplit_packets, this.#split)
    if (splits) counters.add(RxCounter.rx_hsplit_unsplit, this.packets - this.#split)
    this.packets = this.#bytes = this.#verified = this.#unverified = this.#split = 0
  }
}
