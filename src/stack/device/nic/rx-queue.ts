/**
 * One receive queue: writes headers and payload of a frame to where its driver wants them, and
 * completes the frame.
 */

import { ChecksumResult } from '../../../wire/frame-checksums.ts'
import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'
import { MAX_IP_BYTES } from '../../../wire/ip.ts'
import { PSH } from '../../../wire/tcp.ts'
import { type FramePieces, type LinkFrame, segmentsOf } from '../../link/link.ts'
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
import type { DmaSpace } from '../dma-space.ts'
import { isMergeable, MAX_COALESCED_BUFFERS, RxAggregate } from './rx-aggregate.ts'
import { BUFFER_FAULT, OUT_OF_BUFFER, RxBuffers } from './rx-buffers.ts'
import { RxCounts } from './rx-counts.ts'

export class RxQueue {
  /** True after a pause that was too long: the queue pauses the link again once it has taken a frame. */
  pausedTooLong = false
  readonly #counters: Counters
  readonly #buffers: RxBuffers
  readonly #counts: RxCounts
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
    this.#counts = new RxCounts(counters)
  }

  get started(): boolean {
    return this.#ring !== undefined
  }

  start(ring: RxFrontEnd, config: RxQueueConfig): void {
    this.#ring = ring
    this.#split = config.split !== 'off'
    this.#splitUdp = config.splitUdp !== false
    this.#fill = config.split === 'fill'
    this.#thresholdBytes = this.#fill ? Number.MAX_SAFE_INTEGER : config.splitThresholdBytes
    this.#coalesce = config.coalesce
    this.pausedTooLong = false
  }

  stop(): void {
    this.#ring = undefined
    this.#buffers.forget()
    this.#aggregate.forget()
  }

  /**
   * Returns the payload bytes of a large frame that the queue takes as one packet: a multiple of its
   * `segmentBytes`, which is the least.
   */
  largestPayload({ segmentBytes }: LinkFrame, { headerLength }: FrameLayout): number {
    const ring = this.#ring
    if (ring === undefined || !this.#coalesce) return segmentBytes
    const inBuffers =
      this.#buffers.roomOf(ring, MAX_COALESCED_BUFFERS) - (this.#split ? 0 : headerLength)
    // The IP packet is shorter by the Ethernet header, so this limit is safe.
    const inPacket = MAX_IP_BYTES - headerLength
    const payload = inBuffers < inPacket ? inBuffers : inPacket
    return payload < segmentBytes ? segmentBytes : payload - (payload % segmentBytes)
  }

  /** Ends a batch: makes its packets visible to the driver. */
  endBatch(): void {
    if (this.#counts.packets > 0) this.#counts.flush(this.#split)
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
    if (ring === undefined) return this.drop(RxCounter.rx_stopped)
    const { length } = frame
    const packetLength = layout.headerLength + layout.payloadLength
    // Padded and cut frames are not merged: their lengths differ from what their headers say.
    const mergeable =
      this.#coalesce &&
      frame.segmentBytes === 0 &&
      layout.kind === FrameKind.tcp &&
      checksum === ChecksumResult.ok &&
      packetLength === length &&
      isMergeable(layout)
    if (this.#aggregate.open) {
      const { headerBytes } = this.#completion
      if (mergeable && this.#append(ring, frame, layout)) {
        this.#counts.add(length, 0, layout, checksum, headerBytes)
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
      ring.headerBuffer(header)
      if (header.region >= 0 && header.bytes >= layout.headerLength) {
        // Padding behind the packet is left out of a frame that is split.
        total = Math.min(packetLength, length)
        linear = layout.headerLength
        if (total <= this.#thresholdBytes && total <= header.bytes) linear = total
        else if (this.#fill) linear = header.bytes
      } else overflow = RX_HEADER_OVERFLOW
    }
    const rest = total - linear
    const found = buffers.find(ring, frame, linear, rest)
    if (found === OUT_OF_BUFFER) return false
    if (found === BUFFER_FAULT) return this.#giveBack(ring)
    if (linear > 0) buffers.writeHeaders(frame, linear)
    buffers.writePayload(frame, frame.offset + linear, rest, 0)
    ring.take(buffers.count)
    this.#unflushed = true
    const flags = (linear > 0 ? RX_SPLIT : overflow) | (CHECKSUM_FLAGS[checksum] ?? 0)
    describe(this.#completion, frame, layout, linear, flags, hash)
    if (mergeable && this.#canBegin(layout, linear)) {
      this.#aggregate.begin(frame.memory.bytes, frame.offset, layout)
    } else this.#complete(ring)
    this.#counts.add(length, frame.segmentBytes, layout, checksum, linear)
    if (length < frame.originalLength) this.#counters.add(RxCounter.rx_truncated)
    return true
  }

  /**
   * Delivers a large frame that its sender has left in pieces, if it becomes one packet.
   *
   * @returns false, with nothing taken, if it does not, or finds no buffers.
   */
  deliverPieces(head: LinkFrame, pieces: FramePieces, layout: FrameLayout, hash: number): boolean {
    const ring = this.#ring
    const buffers = this.#buffers
    const { headerLength, payloadLength } = layout
    // A link may keep lengths as floating-point numbers, and the engine makes garbage of those.
    const length = head.originalLength | 0
    // Aligned copies would need pieces to be cut.
    if (ring?.completeAll === undefined || !this.#coalesce) return false
    if (payloadLength === 0 || headerLength + payloadLength !== length) return false
    if (payloadLength > this.largestPayload(head, layout)) return false
    let linear = 0
    if (this.#split) {
      const { header } = buffers
      ring.headerBuffer(header)
      if (header.region < 0 || header.bytes < headerLength || this.#fill) return false
      linear = headerLength
    }
    const rest = length - linear
    if (!buffers.fill(ring, head, pieces, linear, rest)) return false
    if (linear > 0) buffers.writeHeaders(head, linear)
    ring.take(buffers.posted.count)
    this.#unflushed = true
    const flags = linear > 0 ? RX_SPLIT | RX_CHECKSUM_OK : RX_CHECKSUM_OK
    describe(this.#completion, head, layout, linear, flags, hash)
    ring.completeAll(this.#completion, buffers.posted, rest)
    this.#counts.add(length, head.segmentBytes, layout, ChecksumResult.ok, linear)
    return true
  }

  /**
   * Counts a frame that is dropped.
   *
   * @param reason an {@link RxCounter}.
   * @returns true, since the frame does not wait.
   */
  drop(reason: number): true {
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
    ring.take(count)
    this.#unflushed = true
    completion.headerBytes = completion.packetType = completion.hash = completion.segmentBytes = 0
    completion.segments = 1
    // A header buffer that alone is at fault belongs to a completion without a buffer.
    for (let index = 0; index === 0 || index < count; index++) {
      completion.flags = RX_FAULT
      const id = index < count ? (this.#buffers.at(index)?.id ?? -1) : -1
      completeBuffer(ring, completion, id, 0, 0, true)
    }
    return this.drop(RxCounter.rx_dma_faults)
  }

  /** Completes the buffers of the packet. */
  #complete(ring: RxFrontEnd): void {
    const completion = this.#completion
    const { count } = this.#buffers
    if (count === 0) completeBuffer(ring, completion, -1, 0, 0, true)
    for (let index = 0; index < count; index++) {
      const buffer = this.#buffers.at(index)
      if (buffer === undefined) return
      const { id, pad, written } = buffer
      completeBuffer(ring, completion, id, pad, written, index + 1 === count)
    }
  }

  /** True if other segments may be merged with a mergeable one, by the buffers found for it. */
  #canBegin(layout: FrameLayout, linear: number): boolean {
    const { count } = this.#buffers
    return (
      count > 0 &&
      count <= MAX_COALESCED_BUFFERS &&
      (layout.tcpFlags & PSH) === 0 &&
      (linear > 0 || !this.#split)
    )
  }

  /** Merges a segment with the open packet. Returns false if it does not continue it, or finds no room. */
  #append(ring: RxFrontEnd, frame: LinkFrame, layout: FrameLayout): boolean {
    const aggregate = this.#aggregate
    const buffers = this.#buffers
    if (!aggregate.continues(frame.memory.bytes, frame.offset, layout)) return false
    const { headerLength, payloadLength } = layout
    const from = frame.offset + headerLength
    // A segment that the last buffer has no room for begins the next one: cut anywhere, each would
    // need new views, which are garbage.
    if (!buffers.extend(frame, from, payloadLength)) {
      const held = buffers.count
      if (!buffers.findMore(ring, frame, payloadLength, MAX_COALESCED_BUFFERS)) return false
      buffers.writePayload(frame, from, payloadLength, held)
      ring.take(buffers.count - held)
    }
    if (!aggregate.append(layout)) this.#closeAggregate(ring)
    return true
  }

  #closeAggregate(ring: RxFrontEnd): void {
    const aggregate = this.#aggregate
    const completion = this.#completion
    if (!aggregate.open) return
    aggregate.open = false
    const { segments, headerLength } = aggregate
    if (segments > 1) {
      completion.segments = segments
      completion.segmentBytes = aggregate.segmentBytes
      this.#counts.addCoalesced(segments, aggregate.bytes, aggregate.wireBytes)
      const isSplit = completion.headerBytes > 0
      this.#buffers.rewriteHeaders(aggregate.finishHeaders(), headerLength, isSplit)
    }
    this.#complete(ring)
  }
}

/** Flags of a completion, by the {@link ChecksumResult}. */
const CHECKSUM_FLAGS: readonly number[] = [
  0,
  RX_CHECKSUM_OK,
  RX_IP_CHECKSUM_BAD,
  RX_L4_CHECKSUM_BAD,
]

/** Writes what the completion of a packet's first buffer says of the packet. */
function describe(
  completion: RxCompletion,
  { segmentBytes }: LinkFrame,
  layout: FrameLayout,
  linear: number,
  flags: number,
  hash: number,
): void {
  completion.headerBytes = linear
  completion.flags = flags
  completion.hash = hash
  completion.segments = segmentsOf(layout.payloadLength, segmentBytes)
  completion.segmentBytes = completion.segments > 1 ? segmentBytes : 0
  completion.packetType = packetTypeOf(layout.kind, layout.ipVersion)
}

/** Completes the next buffer of the packet that `completion` describes. */
function completeBuffer(
  ring: RxFrontEnd,
  completion: RxCompletion,
  id: number,
  offset: number,
  bytes: number,
  isLast: boolean,
): void {
  completion.id = id
  completion.offset = offset
  completion.bytes = bytes
  if (isLast) completion.flags |= RX_END_OF_PACKET
  ring.complete(completion)
  completion.headerBytes = 0
  completion.flags |= RX_CONTINUES
}
