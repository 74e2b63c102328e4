/**
 * One receive queue: writes headers and payload of a frame to where its driver wants them, and
 * completes the frame.
 */

import { ChecksumResult } from '../../../wire/frame-checksums.ts'
import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'
import { PSH } from '../../../wire/tcp.ts'
import type { LinkFrame } from '../../link/link.ts'
import { type Counters, RxCounter } from '../../rings/nic-counters.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import {
  packetTypeOf,
  RX_CHECKSUM_OK,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_FAULT,
  RX_HEADER_OVERFLOW,
  RX_IP_CHECKSUM_BAD,
  RX_L4_CHECKSUM_BAD,
  RX_SPLIT,
  RxCompletion,
  type RxFrontEnd,
} from '../../rings/rx-front-end.ts'
import type { DmaSpace } from '../dma/dma-space.ts'
import { isMergeable, RxAggregate } from './rx-aggregate.ts'
import { copyBytes, DMA_FAULT, OUT_OF_BUFFER, RxBuffers } from './rx-buffers.ts'

export class RxQueue {
  /** True after a pause that was too long: the queue pauses the link again once it has taken a frame. */
  pausedTooLong = false
  readonly #counters: Counters
  readonly #buffers: RxBuffers
  readonly #completion = new RxCompletion()
  readonly #aggregate = new RxAggregate()
  #ring: RxFrontEnd | undefined
  #split = false
  #splitUdp = true
  #fill = false
  #thresholdBytes = 0
  #coalesce = false
  #unflushed = false

  constructor(dma: DmaSpace, counters: Counters) {
    this.#buffers = new RxBuffers(dma)
    this.#counters = counters
  }

  get started(): boolean {
    return this.#ring !== undefined
  }

  start(ring: RxFrontEnd, config: RxQueueConfig): void {
    this.#ring = ring
    this.#buffers.start(ring)
    this.#split = config.split !== 'off'
    this.#splitUdp = config.splitUdp !== false
    this.#fill = config.split === 'fill'
    this.#thresholdBytes = config.splitThresholdBytes
    this.#coalesce = config.coalesce
    this.pausedTooLong = false
  }

  stop(): void {
    this.#ring = undefined
    this.#buffers.forget()
  }

  /** Begins a batch: memory may have been unmapped since the last one. */
  beginBatch(): void {
    this.#buffers.forgetRegions()
  }

  /** Ends a batch: makes its packets visible to the driver. */
  endBatch(): void {
    if (this.#ring === undefined) return
    this.#closeAggregate(this.#ring)
    if (!this.#unflushed) return
    this.#unflushed = false
    this.#ring.flush()
  }

  /**
   * Delivers a frame, or drops and counts it.
   *
   * @param checksum a {@link ChecksumResult}.
   * @returns false if the frame has to wait for buffers. It is neither dropped nor counted then.
   */
  deliver(frame: LinkFrame, layout: FrameLayout, checksum: number, hash: number): boolean {
    const ring = this.#ring
    if (ring === undefined) return this.#drop(RxCounter.rx_stopped)
    const { length } = frame
    const packetLength = layout.headerLength + layout.payloadLength
    // Padded and cut frames are not merged: their lengths differ from what their headers say.
    const mergeable =
      this.#coalesce &&
      layout.kind === FrameKind.tcp &&
      checksum === ChecksumResult.ok &&
      packetLength === length &&
      isMergeable(layout)
    if (this.#aggregate.open) {
      if (mergeable && this.#append(ring, frame, layout)) {
        this.#countReceived(frame, checksum)
        return true
      }
      this.#closeAggregate(ring)
    }

    const buffers = this.#buffers
    let total = length
    let linear = 0
    let overflow = 0
    if (
      this.#split &&
      (layout.kind === FrameKind.tcp || (layout.kind === FrameKind.udp && this.#splitUdp))
    ) {
      const { header } = buffers
      ring.headerBuffer(0, header)
      if (header.region >= 0 && header.bytes >= layout.headerLength) {
        // Padding behind the packet is left out of a frame that is split.
        total = Math.min(packetLength, length)
        linear = layout.headerLength
        if (this.#fill || total <= this.#thresholdBytes) {
          if (total <= header.bytes) linear = total
          else if (this.#fill) linear = header.bytes
        }
      } else overflow = RX_HEADER_OVERFLOW
    }
    const rest = total - linear
    const found = buffers.find(ring, frame, linear, rest)
    if (found === OUT_OF_BUFFER) return false
    if (found === DMA_FAULT) return this.#giveBack(ring)
    if (linear > 0) buffers.writeHeaders(frame, linear)
    buffers.writePayload(frame, frame.offset + linear, rest)
    this.#complete(ring, layout, linear, rest, overflow, checksum, hash, mergeable)
    this.#countReceived(frame, checksum)
    if (linear > 0) this.#counters.add(RxCounter.rx_hsplit_packets)
    else if (this.#split) this.#counters.add(RxCounter.rx_hsplit_unsplit)
    return true
  }

  /** Counts a frame that found too few buffers and does not wait. */
  dropForWantOfBuffers(): void {
    this.#drop(RxCounter.rx_hw_drop_overruns)
  }

  #drop(reason: number): true {
    this.#counters.add(reason)
    this.#counters.add(RxCounter.rx_hw_drops)
    return true
  }

  /**
   * Drops a frame because the NIC cannot write to one of its buffers. The buffers go back to the
   * driver with an error, so that the next frame finds others.
   */
  #giveBack(ring: RxFrontEnd): true {
    const { count } = this.#buffers
    const completion = this.#completion
    completion.offset = completion.bytes = completion.headerBytes = 0
    completion.packetType = completion.hash = completion.segmentBytes = 0
    completion.segments = 1
    completion.flags = RX_FAULT | RX_END_OF_PACKET
    ring.take(count)
    for (let index = 0; index < count; index++) {
      completion.id = this.#buffers.at(index)?.id ?? -1
      ring.complete(completion)
    }
    if (count === 0) {
      // Its header buffer alone is at fault, and belongs to the completion.
      completion.id = -1
      ring.complete(completion)
    }
    this.#unflushed = true
    return this.#drop(RxCounter.rx_dma_faults)
  }

  #complete(
    ring: RxFrontEnd,
    layout: FrameLayout,
    linear: number,
    rest: number,
    overflow: number,
    checksum: number,
    hash: number,
    mergeable: boolean,
  ): void {
    const { count } = this.#buffers
    ring.take(count)
    this.#unflushed = true
    let flags = linear > 0 ? RX_SPLIT : overflow
    if (checksum === ChecksumResult.ok) flags |= RX_CHECKSUM_OK
    else if (checksum === ChecksumResult.badL4) flags |= RX_L4_CHECKSUM_BAD
    else if (checksum === ChecksumResult.badIp) flags |= RX_IP_CHECKSUM_BAD
    if (mergeable && count === 1 && (layout.tcpFlags & PSH) === 0 && (linear > 0 || !this.#split)) {
      this.#beginAggregate(layout, linear, rest, flags | RX_END_OF_PACKET, hash)
      return
    }
    const completion = this.#completion
    completion.offset = 0
    completion.headerBytes = linear
    completion.hash = hash
    completion.segments = 1
    completion.segmentBytes = 0
    completion.packetType = packetTypeOf(layout.kind, layout.ipVersion)
    if (count === 0) {
      completion.id = -1
      completion.bytes = 0
      completion.flags = flags | RX_END_OF_PACKET
      ring.complete(completion)
      return
    }
    let left = rest
    for (let index = 0; index < count; index++) {
      const buffer = this.#buffers.at(index)
      if (buffer === undefined) return
      completion.id = buffer.id
      const room = buffer.bytes - buffer.pad
      completion.offset = buffer.pad
      completion.bytes = left < room ? left : room
      left -= completion.bytes
      completion.flags = index + 1 === count ? flags | RX_END_OF_PACKET : flags
      ring.complete(completion)
      completion.headerBytes = 0
      if (index === 0) flags |= RX_CONTINUES
    }
  }

  #beginAggregate(
    layout: FrameLayout,
    linear: number,
    rest: number,
    flags: number,
    hash: number,
  ): void {
    const buffer = this.#buffers.at(0)
    const headers = linear > 0 ? this.#buffers.header : buffer
    if (buffer?.memory === undefined || headers?.memory === undefined) return
    const { completion } = this.#aggregate
    completion.id = buffer.id
    completion.offset = buffer.pad
    completion.bytes = rest
    completion.headerBytes = linear
    completion.flags = flags
    completion.hash = hash
    completion.segments = 1
    completion.segmentBytes = 0
    completion.packetType = packetTypeOf(layout.kind, layout.ipVersion)
    this.#aggregate.begin(
      layout,
      headers.memory,
      headers.offset + (linear > 0 ? 0 : buffer.pad),
      buffer.memory,
      buffer.offset + buffer.pad + rest,
      buffer.offset + buffer.bytes,
    )
  }

  #append(ring: RxFrontEnd, frame: LinkFrame, layout: FrameLayout): boolean {
    const aggregate = this.#aggregate
    const to = aggregate.place(frame.memory.bytes, frame.offset, layout)
    if (to < 0) return false
    const { payloadLength } = layout
    copyBytes(frame, frame.offset + layout.headerLength, payloadLength, aggregate.memory, to)
    if (aggregate.completion.headerBytes > 0) this.#counters.add(RxCounter.rx_hsplit_packets)
    if (!aggregate.append(layout)) this.#closeAggregate(ring)
    return true
  }

  #closeAggregate(ring: RxFrontEnd): void {
    const aggregate = this.#aggregate
    if (!aggregate.open) return
    aggregate.close()
    const { completion } = aggregate
    if (completion.segments > 1) {
      const counters = this.#counters
      counters.add(RxCounter.rx_hw_gro_packets)
      counters.add(RxCounter.rx_hw_gro_bytes, aggregate.bytes)
      counters.add(RxCounter.rx_hw_gro_wire_packets, completion.segments)
      counters.add(RxCounter.rx_hw_gro_wire_bytes, aggregate.wireBytes)
    }
    ring.complete(completion)
  }

  #countReceived(frame: LinkFrame, checksum: number): void {
    const counters = this.#counters
    counters.add(RxCounter.rx_packets)
    counters.add(RxCounter.rx_bytes, frame.length)
    if (checksum === ChecksumResult.ok) counters.add(RxCounter.rx_csum_unnecessary)
    else if (checksum === ChecksumResult.none) counters.add(RxCounter.rx_csum_none)
    else counters.add(RxCounter.rx_csum_bad)
    if (frame.length < frame.originalLength) counters.add(RxCounter.rx_truncated)
  }
}
