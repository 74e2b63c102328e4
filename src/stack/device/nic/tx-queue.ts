/**
 * One transmit queue: takes packets off its ring, completes their checksums, cuts those that are to be
 * cut (TSO), and sends them. What its link takes it leaves to the link.
 */

import {
  fillChecksums,
  fillIpChecksum,
  fillPartialChecksum,
} from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { emptyFrame, type Link, type LinkFrame, segmentsOf } from '../../link/link.ts'
import { type Counters, TxCounter } from '../../rings/nic-counters.ts'
import { TX_CHECKSUM, TX_REPORT, type TxFrontEnd } from '../../rings/tx-front-end.ts'
import type { DmaSpace } from '../dma-space.ts'
import { isSegmentable, Segmenter } from './segmenter.ts'
import { DMA_FAULT, NO_FAULT, PACKET_ERROR, TxGather } from './tx-gather.ts'

/**
 * Least MSS that a packet is cut by, as no host asks for less (Linux, TCP_MIN_GSO_SIZE). A driver could
 * keep the device busy with segments of a byte each.
 */
const MIN_MSS_BYTES = 8

/** Bytes that a short piece counts as against a budget: what it costs is not its bytes. */
const LEAST_COST_BYTES = 2048

export class TxQueue {
  /** Part of its budget that the last call of `transmit` has used. */
  usedBytes = 0
  readonly #counters: Counters
  readonly #packet: TxGather
  readonly #frame: LinkFrame
  readonly #layout = new FrameLayout()
  readonly #segmenter: Segmenter
  #frontEnd: TxFrontEnd | undefined
  /** Posted descriptors among which there is no end of a packet: less than one more is not looked at. */
  #withoutEnd = 0

  constructor(dma: DmaSpace, maxFrameBytes: number, counters: Counters) {
    this.#counters = counters
    this.#packet = new TxGather(dma, maxFrameBytes)
    this.#frame = emptyFrame(this.#packet.memory)
    this.#segmenter = new Segmenter(this.#packet.memory)
  }

  get started(): boolean {
    return this.#frontEnd !== undefined
  }

  start(frontEnd: TxFrontEnd): void {
    this.#frontEnd = frontEnd
    this.#packet.discarding = false
    this.#withoutEnd = 0
  }

  stop(): void {
    this.#frontEnd = undefined
    this.#packet.pieces.forget()
  }

  /**
   * Sends the packets that are posted at the call. A driver that continues to post does not keep
   * it.
   *
   * @param budgetBytes bytes of packets after which the others wait for the next call.
   */
  transmit(nowNs: number, link: Link, budgetBytes: number): number {
    this.usedBytes = 0
    const frontEnd = this.#frontEnd
    if (frontEnd === undefined) return 0
    const packet = this.#packet
    packet.forgetUnmapped()
    let left = frontEnd.posted()
    if (left <= this.#withoutEnd) return 0
    this.#withoutEnd = 0
    const largeInPieces = link.transmitPieces !== undefined && link.features.largeFrames
    const allInPieces = largeInPieces && link.features.partialChecksums
    let sent = 0
    try {
      while (left > 0 && this.usedBytes < budgetBytes) {
        const count = packet.gather(frontEnd, largeInPieces, allInPieces)
        if (count === 0) {
          this.#withoutEnd = left
          break
        }
        left -= frontEnd.take()
        const leastBytes = count * LEAST_COST_BYTES
        this.usedBytes += packet.bytes > leastBytes ? packet.bytes : leastBytes
        if (!packet.discarding) {
          if (packet.fault === NO_FAULT) this.#send(nowNs, link)
          if (packet.fault === NO_FAULT) sent++
          else this.#drop()
        }
        if ((packet.read.flags & TX_REPORT) !== 0) frontEnd.completeHead?.()
        if (!packet.discarding) frontEnd.complete?.(packet.read.tag)
      }
    } finally {
      frontEnd.flush()
    }
    return sent
  }

  #send(nowNs: number, link: Link): void {
    const counters = this.#counters
    const packet = this.#packet
    const frame = this.#frame
    const { bytes } = packet
    frame.length = packet.copied
    frame.originalLength = bytes
    frame.timeNs = nowNs
    frame.checksum = 'complete'
    frame.segmentBytes = 0
    frame.layout = undefined
    const { flags, mssBytes } = packet.read
    let segments = 1
    let headerLength = 0
    let filled = false
    if (mssBytes > 0 || (flags & TX_CHECKSUM) !== 0) {
      const layout = parseFrame(packet.memory.bytes, 0, packet.copied, this.#layout, bytes)
      if (mssBytes > 0 && !this.#canCut(layout)) {
        packet.fault = PACKET_ERROR
        return
      }
      segments = segmentsOf(layout.payloadLength, mssBytes)
      headerLength = layout.headerLength
      // Frames without IP have no checksum to complete, and are sent as they are.
      if (segments > 1) filled = true
      else if (layout.kind >= FrameKind.fragment) filled = this.#fill(frame, layout, link)
    }
    const wireBytes = bytes + (segments - 1) * headerLength
    counters.add(filled ? TxCounter.tx_needs_csum : TxCounter.tx_csum_none)
    counters.add(TxCounter.tx_packets, segments)
    counters.add(TxCounter.tx_bytes, wireBytes)
    if (segments === 1) {
      this.#transmit(frame, nowNs, link)
      return
    }
    counters.add(TxCounter.tx_hw_gso_packets)
    counters.add(TxCounter.tx_hw_gso_bytes, bytes)
    counters.add(TxCounter.tx_hw_gso_wire_packets, segments)
    counters.add(TxCounter.tx_hw_gso_wire_bytes, wireBytes)
    this.#sendSegments(frame, nowNs, link)
  }

  /** True if the packet can be cut as its descriptors say. */
  #canCut(layout: FrameLayout): boolean {
    const { bytes, read } = this.#packet
    return (
      read.mssBytes >= MIN_MSS_BYTES &&
      read.headerBytes === layout.headerLength &&
      isSegmentable(layout, bytes)
    )
  }

  /** Completes the checksums of the packet, or as much of them as its link does not complete. */
  #fill(frame: LinkFrame, layout: FrameLayout, link: Link): boolean {
    const packet = this.#packet
    const { memory, bytes } = packet
    if (!link.features.partialChecksums) {
      if (packet.pieces.count > 0) {
        // The whole checksum needs the whole packet.
        packet.copyRest()
        frame.length = bytes
        parseFrame(memory.bytes, 0, bytes, layout)
      }
      return fillChecksums(memory, 0, layout)
    }
    fillIpChecksum(memory, 0, layout)
    if (!fillPartialChecksum(memory, 0, layout)) return false
    frame.checksum = 'partial'
    frame.layout = layout
    return true
  }

  /** Sends the packet as one large frame, or as segments to a link that takes none. */
  #sendSegments(frame: LinkFrame, nowNs: number, link: Link): void {
    const { memory, read } = this.#packet
    const layout = this.#layout
    if (link.features.largeFrames) {
      fillIpChecksum(memory, 0, layout)
      fillPartialChecksum(memory, 0, layout)
      frame.checksum = 'partial'
      frame.segmentBytes = read.mssBytes
      frame.layout = layout
      this.#transmit(frame, nowNs, link)
      return
    }
    const segmenter = this.#segmenter
    segmenter.begin(frame, layout, read.mssBytes, read.mssBytes)
    while (segmenter.pending) {
      segmenter.next()
      link.transmit(segmenter.frame, nowNs)
    }
  }

  #transmit(frame: LinkFrame, nowNs: number, link: Link): void {
    const { pieces } = this.#packet
    if (pieces.count === 0 || link.transmitPieces === undefined) link.transmit(frame, nowNs)
    else link.transmitPieces(frame, pieces, nowNs)
  }

  #drop(): void {
    const isFault = this.#packet.fault === DMA_FAULT
    this.#counters.add(isFault ? TxCounter.tx_dma_faults : TxCounter.tx_hw_drop_errors)
    this.#counters.add(TxCounter.tx_hw_drops)
  }
}
