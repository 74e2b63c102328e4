/**
 * One receive queue: writes a frame to where its driver wants it, headers here and payload there,
 * and completes it. A frame is delivered whole or dropped whole: nothing is taken from the driver
 * before everything that the frame needs is known to be there.
 */

import { FrameKind, type FrameLayout } from '../../../wire/frame-layout.ts'
import { PSH } from '../../../wire/tcp.ts'
import type { LinkFrame } from '../../link/link.ts'
import { RxCounters } from '../../rings/nic-counters.ts'
import type { RxQueueConfig } from '../../rings/nic-types.ts'
import {
  type PostedBuffer,
  RX_CHECKSUM_BAD,
  RX_CHECKSUM_OK,
  RX_CONTINUES,
  RX_END_OF_PACKET,
  RX_SPLIT,
  RxCompletion,
  type RxFrontEnd,
} from '../../rings/rx-front-end.ts'
import { SHORT_COPY_BYTES, ShortCopy } from '../../rings/short-copy.ts'
import type { DmaSpace } from '../dma/dma-space.ts'
import { MappedRegion } from './mapped-region.ts'
import { CHECKSUM_BAD, CHECKSUM_OK } from './offloads.ts'
import { isMergeable, RxAggregate } from './rx-aggregate.ts'

/** What became of a frame. */
const DELIVERED = 0
/** The driver has not posted what it takes: the only one that waiting helps against. Not counted yet. */
export const OUT_OF_BUFFER = 1
const DROPPED = 2

/** A posted buffer that a frame is about to take, and the memory it is in. */
class Piece implements PostedBuffer {
  id = -1
  region = -1
  offset = 0
  bytes = 0
  memory: Uint8Array | undefined
  /** Bytes left out at its beginning, so that the copy is fast. */
  pad = 0
}

/** A frame of less payload is copied in no time wherever it lies. */
const ALIGNED_BYTES = 512

/**
 * Bytes to leave out of a buffer so that source and destination lie alike within a word. Engines
 * copy to memory that threads share word by word where they can, and byte by byte otherwise: 11
 * against 3 GB/s. Hardware pads its buffers for the like of it.
 */
function padding(memory: Uint8Array, to: number, source: Uint8Array, from: number): number {
  if (!(memory.buffer instanceof SharedArrayBuffer)) return 0
  return (source.byteOffset + from - memory.byteOffset - to) & 7
}

export class RxQueue {
  readonly counters: RxCounters = new RxCounters()
  /** As if no buffer were posted; a knob. */
  dry = false
  /** It was dry for so long that it does not pause the link until it has taken a frame. */
  pausedTooLong = false
  readonly #payloadRegion: MappedRegion
  readonly #headerRegion: MappedRegion
  #frontEnd: RxFrontEnd | undefined
  #split = false
  #fill = false
  #thresholdBytes = 0
  #coalesce = false
  #unflushed = false
  /** As many as the frame with most buffers has needed. */
  readonly #pieces: Piece[] = [new Piece()]
  readonly #header = new Piece()
  readonly #completion = new RxCompletion()
  readonly #aggregate = new RxAggregate()
  readonly #shortCopy = new ShortCopy()
  /** Pieces that the present frame takes. */
  #count = 0
  /** What {@link plan} found. */
  #outcome = DELIVERED

  constructor(dma: DmaSpace) {
    this.#payloadRegion = new MappedRegion(dma)
    this.#headerRegion = new MappedRegion(dma)
  }

  get started(): boolean {
    return this.#frontEnd !== undefined
  }

  /** Whether it splits headers. */
  get splits(): boolean {
    return this.#split
  }

  start(frontEnd: RxFrontEnd, config: RxQueueConfig): void {
    this.#frontEnd = frontEnd
    this.#split = config.split !== 'off'
    this.#fill = config.split === 'fill'
    this.#thresholdBytes = config.splitThresholdBytes
    this.#coalesce = config.coalesce
    this.pausedTooLong = false
  }

  stop(): void {
    this.#frontEnd = undefined
    this.forgetMemory()
    for (const piece of this.#pieces) piece.memory = undefined
    this.#header.memory = undefined
    this.#shortCopy.forget()
  }

  /** To be called before a batch: something may have been unmapped since the last. */
  forgetMemory(): void {
    this.#payloadRegion.forget()
    this.#headerRegion.forget()
  }

  /** Ends a batch: makes what was received visible to the driver. */
  endBatch(): void {
    if (this.#frontEnd === undefined) return
    this.#closeAggregate(this.#frontEnd)
    if (!this.#unflushed) return
    this.#unflushed = false
    this.#frontEnd.flush()
  }

  /** Delivers a frame; `checksum` is what is known of its checksums, and `overflow` makes its headers too large to be split off. */
  deliver(
    frame: LinkFrame,
    layout: FrameLayout,
    checksum: number,
    hash: number,
    overflow: boolean,
  ): number {
    const frontEnd = this.#frontEnd
    const { counters } = this
    if (frontEnd === undefined) {
      counters.rx_stopped++
      counters.rx_dropped++
      return DROPPED
    }
    const { offset, length } = frame
    const packetLength = layout.headerLength + layout.payloadLength
    // Padding and cut frames are not merged: their lengths are not what their headers say.
    const mergeable =
      this.#coalesce &&
      layout.kind === FrameKind.tcp &&
      checksum === CHECKSUM_OK &&
      packetLength === length &&
      isMergeable(layout)
    if (this.#aggregate.open) {
      if (mergeable && !overflow && this.#append(frontEnd, frame, layout)) {
        this.#countReceived(frame, checksum)
        return DELIVERED
      }
      this.#closeAggregate(frontEnd)
    }

    // Padding behind the packet is left out of a frame that is split.
    let total = length
    let linear = 0
    const splittable = layout.kind === FrameKind.tcp || layout.kind === FrameKind.udp
    if (this.#split && splittable && !overflow) {
      const header = this.#header
      frontEnd.headerBuffer(0, header)
      if (header.region >= 0 && header.bytes >= layout.headerLength) {
        total = Math.min(packetLength, length)
        linear = layout.headerLength
        if (this.#fill || total <= this.#thresholdBytes) {
          if (total <= header.bytes) linear = total
          else if (this.#fill) linear = header.bytes
        }
      }
    }
    if (!this.#plan(frontEnd, frame, linear, total - linear)) return this.#outcome

    if (linear > 0) this.#writeHeaders(frame, linear)
    this.#writePayload(frame, offset + linear, total - linear)
    this.#complete(frontEnd, layout, linear, total - linear, checksum, hash, mergeable)
    this.#countReceived(frame, checksum)
    if (linear > 0) counters.rx_hsplit_packets++
    else if (this.#split) counters.rx_hsplit_unsplit++
    return DELIVERED
  }

  /** Counts a frame that was lost for want of buffers. */
  dropForWantOfBuffers(): void {
    this.counters.rx_out_of_buffer++
    this.counters.rx_dropped++
  }

  /** Finds the memory for a frame: `linear` bytes in the header buffer, `rest` in posted buffers. */
  #plan(frontEnd: RxFrontEnd, frame: LinkFrame, linear: number, rest: number): boolean {
    const header = this.#header
    if (linear > 0) {
      header.memory = this.#headerRegion.memory(header.region, header.offset, header.bytes)
      if (header.memory === undefined) return this.#fault()
    }
    let count = 0
    let left = rest
    while (left > 0) {
      let piece = this.#pieces[count]
      if (piece === undefined) {
        piece = new Piece()
        this.#pieces.push(piece)
      }
      if (this.dry || !frontEnd.peek(count, piece)) {
        if (this.dry || !this.#fitsUnpadded(left)) return this.#outOfBuffer()
        break
      }
      piece.memory = this.#payloadRegion.memory(piece.region, piece.offset, piece.bytes)
      if (piece.memory === undefined || piece.bytes === 0) return this.#fault()
      piece.pad = 0
      if (count === 0 && rest >= ALIGNED_BYTES && piece.bytes > ALIGNED_BYTES) {
        const { bytes } = frame.memory
        piece.pad = padding(piece.memory, piece.offset, bytes, frame.offset + linear)
      }
      left -= piece.bytes - piece.pad
      count++
    }
    if (frontEnd.room() < (count === 0 ? 1 : count)) return this.#outOfBuffer()
    this.#count = count
    return true
  }

  /** Whether what found no buffer fits in those there are once nothing is left out: slower than lost is better. */
  #fitsUnpadded(left: number): boolean {
    const first = this.#pieces[0]
    if (first === undefined || left > first.pad) return false
    first.pad = 0
    return true
  }

  #outOfBuffer(): false {
    this.#outcome = OUT_OF_BUFFER
    return false
  }

  /** The descriptor stays where it is: what it names is the driver's until it is completed, or the queue stopped. */
  #fault(): false {
    this.counters.rx_dma_faults++
    this.counters.rx_dropped++
    this.#outcome = DROPPED
    return false
  }

  #writeHeaders(frame: LinkFrame, linear: number): void {
    const { memory, offset } = this.#header
    if (memory === undefined) return
    if (linear > SHORT_COPY_BYTES) copy(frame, frame.offset, linear, memory, offset)
    else this.#shortCopy.copy(frame.memory.bytes, frame.offset, linear, memory, offset)
  }

  #writePayload(frame: LinkFrame, from: number, rest: number): void {
    let at = from
    let left = rest
    for (let index = 0; index < this.#count; index++) {
      const piece = this.#pieces[index]
      if (piece?.memory === undefined) return
      const room = piece.bytes - piece.pad
      const bytes = left < room ? left : room
      copy(frame, at, bytes, piece.memory, piece.offset + piece.pad)
      at += bytes
      left -= bytes
    }
  }

  #complete(
    frontEnd: RxFrontEnd,
    layout: FrameLayout,
    linear: number,
    rest: number,
    checksum: number,
    hash: number,
    mergeable: boolean,
  ): void {
    const count = this.#count
    frontEnd.take(count)
    this.#unflushed = true
    let flags = linear > 0 ? RX_SPLIT : 0
    if (checksum === CHECKSUM_OK) flags |= RX_CHECKSUM_OK
    else if (checksum === CHECKSUM_BAD) flags |= RX_CHECKSUM_BAD
    const begins =
      mergeable && count === 1 && (layout.tcpFlags & PSH) === 0 && (linear > 0 || !this.#split)
    if (begins) {
      this.#beginAggregate(layout, linear, rest, flags | RX_END_OF_PACKET, hash)
      return
    }
    const completion = this.#completion
    completion.offset = 0
    completion.headerBytes = linear
    completion.hash = hash
    completion.segments = 1
    if (count === 0) {
      completion.id = -1
      completion.bytes = 0
      completion.flags = flags | RX_END_OF_PACKET
      frontEnd.complete(completion)
      return
    }
    let left = rest
    for (let index = 0; index < count; index++) {
      const piece = this.#pieces[index]
      if (piece === undefined) return
      completion.id = piece.id
      const room = piece.bytes - piece.pad
      completion.offset = piece.pad
      completion.bytes = left < room ? left : room
      left -= completion.bytes
      completion.flags = index + 1 === count ? flags | RX_END_OF_PACKET : flags
      frontEnd.complete(completion)
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
    const piece = this.#pieces[0]
    const headers = linear > 0 ? this.#header : piece
    if (piece?.memory === undefined || headers?.memory === undefined) return
    const { completion } = this.#aggregate
    completion.id = piece.id
    completion.offset = piece.pad
    completion.bytes = rest
    completion.headerBytes = linear
    completion.flags = flags
    completion.hash = hash
    completion.segments = 1
    this.#aggregate.begin(
      layout,
      headers.memory,
      headers.offset + (linear > 0 ? 0 : piece.pad),
      piece.memory,
      piece.offset + piece.pad + rest,
      piece.offset + piece.bytes,
    )
  }

  #append(frontEnd: RxFrontEnd, frame: LinkFrame, layout: FrameLayout): boolean {
    const aggregate = this.#aggregate
    const to = aggregate.place(frame.memory.bytes, frame.offset, layout)
    if (to < 0) return false
    const { payloadLength } = layout
    copy(frame, frame.offset + layout.headerLength, payloadLength, aggregate.memory, to)
    if (aggregate.completion.headerBytes > 0) this.counters.rx_hsplit_packets++
    if (!aggregate.append(layout)) this.#closeAggregate(frontEnd)
    return true
  }

  #closeAggregate(frontEnd: RxFrontEnd): void {
    const aggregate = this.#aggregate
    if (!aggregate.open) return
    aggregate.close()
    const { completion } = aggregate
    if (completion.segments > 1) {
      const { counters } = this
      counters.rx_gro_packets++
      counters.rx_gro_bytes += aggregate.bytes
      counters.rx_gro_wire_packets += completion.segments
      counters.rx_gro_wire_bytes += aggregate.wireBytes
    }
    frontEnd.complete(completion)
  }

  #countReceived(frame: LinkFrame, checksum: number): void {
    const { counters } = this
    counters.rx_packets++
    counters.rx_bytes += frame.length
    if (checksum === CHECKSUM_OK) counters.rx_csum_ok++
    else if (checksum === CHECKSUM_BAD) counters.rx_csum_bad++
    else counters.rx_csum_none++
    if (frame.length < frame.originalLength) counters.rx_truncated++
  }
}

/** `frame.memory` keeps its views: one made for each frame would be garbage. */
function copy(
  { memory }: LinkFrame,
  from: number,
  bytes: number,
  to: Uint8Array,
  toOffset: number,
): void {
  to.set(memory.view(from, bytes), toOffset)
}
