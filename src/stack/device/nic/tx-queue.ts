/** One transmit queue: gathers the pieces of a packet into one frame, completes its checksums and sends it. */

import { fillChecksums } from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import { createFrameMemory, type FrameMemory, KeptViews } from '../../../wire/frame-memory.ts'
import { emptyFrame, type Link, type LinkFrame } from '../../link/link.ts'
import { type Counters, TxCounter } from '../../rings/nic-counters.ts'
import {
  TX_CHECKSUM,
  TX_END_OF_PACKET,
  TX_REPORT,
  type TxFrontEnd,
  TxPiece,
} from '../../rings/tx-front-end.ts'
import type { DmaSpace } from '../dma/dma-space.ts'
import { MappedRegion } from './mapped-region.ts'

/** Pieces a packet has at most: the linear part and 17 frags, as of an skb. */
export const MAX_TX_PIECES = 18

const ETHERNET_BYTES = 14
/** Faults of a packet. */
const NOTHING = 0
const DMA_FAULT = 1
const LENGTH = 2

export class TxQueue {
  readonly #counters: Counters
  readonly #region: MappedRegion
  readonly #memory: FrameMemory
  readonly #frame: LinkFrame
  readonly #layout = new FrameLayout()
  readonly #piece = new TxPiece()
  /** Views of the memory that packets are sent from. They keep it alive, so an idle queue drops them. */
  readonly #views = new Map<Uint8Array, KeptViews>()
  #frontEnd: TxFrontEnd | undefined
  /** True while the rest of a packet with too many pieces is still to come. */
  #discarding = false
  // The packet gathered last:
  #bytes = 0
  #flags = 0
  #tag = 0
  #wrong = NOTHING

  constructor(dma: DmaSpace, maxFrameBytes: number, counters: Counters) {
    this.#region = new MappedRegion(dma)
    this.#counters = counters
    this.#memory = createFrameMemory(maxFrameBytes)
    this.#frame = emptyFrame(this.#memory)
  }

  get started(): boolean {
    return this.#frontEnd !== undefined
  }

  start(frontEnd: TxFrontEnd): void {
    this.#frontEnd = frontEnd
    this.#discarding = false
  }

  stop(): void {
    this.#frontEnd = undefined
    this.#region.forget()
    this.#views.clear()
  }

  /**
   * Sends the packets that are posted at the call. A driver that continues to post does not keep
   * it.
   */
  transmit(nowNs: number, link: Link): number {
    const frontEnd = this.#frontEnd
    if (frontEnd === undefined) return 0
    this.#region.forget()
    let left = frontEnd.posted()
    // Idle: views must not keep unmapped memory alive.
    if (left <= 0) {
      this.#views.clear()
      return 0
    }
    let sent = 0
    try {
      while (left > 0) {
        const count = this.#gather(frontEnd, left)
        if (count === 0) break
        frontEnd.take(count)
        left -= count
        if (this.#discarding) continue
        if (this.#wrong !== NOTHING) this.#drop()
        else {
          this.#send(nowNs, link)
          sent++
        }
        if ((this.#flags & TX_REPORT) !== 0) frontEnd.completeHead()
        frontEnd.complete(this.#tag)
      }
    } finally {
      frontEnd.flush()
    }
    return sent
  }

  /**
   * Copies the pieces of the next packet. Returns their number, 0 while the end of the packet is
   * not posted.
   */
  #gather(frontEnd: TxFrontEnd, posted: number): number {
    const piece = this.#piece
    if (!this.#discarding) {
      this.#bytes = 0
      this.#flags = 0
      this.#wrong = NOTHING
    }
    for (let ahead = 0; ahead < posted; ahead++) {
      if (!frontEnd.peek(ahead, piece)) return 0
      if (ahead === 0 && !this.#discarding) this.#tag = piece.tag
      if (ahead === MAX_TX_PIECES) this.#wrong = LENGTH
      this.#flags |= piece.flags
      if (this.#wrong === NOTHING) this.#copy(piece)
      if ((piece.flags & TX_END_OF_PACKET) !== 0) {
        this.#discarding = false
        if (this.#bytes < ETHERNET_BYTES && this.#wrong === NOTHING) this.#wrong = LENGTH
        return ahead + 1
      }
    }
    // A packet without an end must not block the ring: all of its pieces are dropped.
    if (!this.#discarding && posted <= MAX_TX_PIECES) return 0
    this.#discarding = true
    return posted
  }

  #copy(piece: TxPiece): void {
    const { offset, bytes } = piece
    const source = this.#region.memory(piece.region, offset, bytes)
    if (source === undefined) {
      this.#wrong = DMA_FAULT
      return
    }
    const to = this.#bytes
    const target = this.#memory.bytes
    if (to + bytes > target.length) {
      this.#wrong = LENGTH
      return
    }
    let views = this.#views.get(source)
    if (views === undefined) {
      views = new KeptViews(source)
      this.#views.set(source, views)
    }
    target.set(views.view(offset, bytes), to)
    this.#bytes = to + bytes
  }

  #send(nowNs: number, link: Link): void {
    const counters = this.#counters
    const frame = this.#frame
    const bytes = this.#bytes
    frame.length = bytes
    frame.originalLength = bytes
    frame.timeNs = nowNs
    let filled = false
    if ((this.#flags & TX_CHECKSUM) !== 0) {
      const layout = parseFrame(this.#memory.bytes, 0, bytes, this.#layout)
      // Frames without IP have no checksum to complete, and are sent as they are.
      filled = layout.kind >= FrameKind.fragment && fillChecksums(this.#memory, 0, layout)
    }
    counters.add(filled ? TxCounter.tx_needs_csum : TxCounter.tx_csum_none)
    counters.add(TxCounter.tx_packets)
    counters.add(TxCounter.tx_bytes, bytes)
    link.transmit(frame, nowNs)
  }

  #drop(): void {
    const isFault = this.#wrong === DMA_FAULT
    this.#counters.add(isFault ? TxCounter.tx_dma_faults : TxCounter.tx_hw_drop_errors)
    this.#counters.add(TxCounter.tx_hw_drops)
  }
}
