/**
 * Gathers the pieces of one packet. For a link that takes pieces the first bytes are copied, among
 * them all headers, and the rest is left where it lies.
 */

import { createFrameMemory, type FrameMemory } from '../../../wire/frame-memory.ts'
import { FramePieces } from '../../link/link.ts'
import { type TxFrontEnd, TxPieces } from '../../rings/tx-front-end.ts'
import type { DmaSpace } from '../dma-space.ts'

/** Faults of a packet. Integers, since one is compared for every packet. */
export const NO_FAULT = 0
/** A piece is not in memory that is mapped for the device. */
export const DMA_FAULT = 1
/** The packet is too long or too short, has no end, or is not what its descriptor says. */
export const PACKET_ERROR = 2

const ETHERNET_BYTES = 14
/** Bytes copied of a packet that stays in pieces: more than the headers of any TCP segment. */
const HEAD_BYTES = 256

/** Returns the bytes to copy: just the headers if they are told, so that payload stays in its pieces. */
function headBytes(headerBytes: number): number {
  return headerBytes >= ETHERNET_BYTES && headerBytes < HEAD_BYTES ? headerBytes : HEAD_BYTES
}

export class TxGather {
  /** Memory that the packet is copied to, from its first byte. */
  readonly memory: FrameMemory
  /** Bytes of the packet, and of those that were copied. */
  bytes = 0
  copied = 0
  /** Bytes of the packet that were not copied, in order. */
  readonly pieces: FramePieces = new FramePieces()
  /** Content of the descriptors that were read last. */
  readonly read: TxPieces = new TxPieces()
  fault: number = NO_FAULT
  /** True while the rest of a packet without an end is still to come. */
  discarding = false
  readonly #dma: DmaSpace
  readonly #maxBytes: number
  /** Number of unmapped regions when {@link pieces} were known to be of mapped memory alone. */
  #unmapped = 0

  constructor(dma: DmaSpace, maxFrameBytes: number) {
    this.#dma = dma
    this.#maxBytes = maxFrameBytes
    this.memory = createFrameMemory(maxFrameBytes)
  }

  /** Drops memory that may have been unmapped: call it before a batch, and while there is none. */
  forgetUnmapped(): void {
    const { unmapped } = this.#dma
    if (unmapped === this.#unmapped) return
    this.#unmapped = unmapped
    this.pieces.forget()
  }

  /**
   * Gathers the next packet. Returns the number of its descriptors with data, for the caller to take, and 0
   * while its end is not posted.
   *
   * @param largeInPieces true if of packets that are to be cut only the first bytes are to be copied (TSO).
   * @param allInPieces true if of all packets only the first bytes are to be copied.
   */
  gather(frontEnd: TxFrontEnd, largeInPieces: boolean, allInPieces: boolean): number {
    const { read } = this
    const hasEnd = frontEnd.read(read)
    const { descriptors } = read
    if (!hasEnd && (descriptors === 0 || !frontEnd.full)) {
      frontEnd.rewind()
      return 0
    }
    if (!this.discarding) {
      this.bytes = this.copied = 0
      this.fault = NO_FAULT
      if (this.pieces.count > 0) this.pieces.clear()
    }
    // A packet that has filled the ring can have no end: all of its pieces are dropped.
    this.discarding = !hasEnd
    if (this.discarding) this.fault = PACKET_ERROR
    if (this.fault === NO_FAULT) {
      const stays = read.mssBytes > 0 ? largeInPieces : allInPieces
      const isCut = stays && HEAD_BYTES < this.#maxBytes
      this.#addAll(read, isCut ? headBytes(read.headerBytes) : this.#maxBytes)
    }
    return descriptors
  }

  /** Copies the rest of a packet that was left in pieces. */
  copyRest(): void {
    this.pieces.copyTo(this.memory.bytes, this.copied)
    this.copied = this.bytes
    this.pieces.clear()
  }

  /** Adds the pieces of a packet, as far as there is no fault. `copyBytes` of them are to be copied. */
  #addAll({ count, regions, offsets, lengths }: TxPieces, copyBytes: number): void {
    const { pieces } = this
    pieces.reserve(count)
    // All in variables: loads of fields took longer than the rest.
    const { memories, offsets: keptOffsets, lengths: keptLengths } = pieces
    const maxBytes = this.#maxBytes
    let kept = 0
    let total = 0
    let region = -1
    let memory: Uint8Array | undefined
    let memoryBytes = 0
    for (let index = 0; index < count; index++) {
      if (memory === undefined || regions[index] !== region) {
        region = regions[index] ?? -1
        memory = this.#dma.memory(region)
        memoryBytes = memory === undefined ? 0 : memory.length
      }
      const offset = offsets[index] ?? 0
      const bytes = lengths[index] ?? 0
      if (memory === undefined || offset < 0 || bytes < 0 || offset + bytes > memoryBytes) {
        this.fault = DMA_FAULT
        break
      }
      if (total + bytes > maxBytes) {
        this.fault = PACKET_ERROR
        break
      }
      const copied = total < copyBytes ? this.#copy(memory, offset, bytes, copyBytes - total) : 0
      total += bytes
      if (copied === bytes) continue
      // Stores of references take longer than comparisons.
      if (memories[kept] !== memory) memories[kept] = memory
      keptOffsets[kept] = offset + copied
      keptLengths[kept] = bytes - copied
      kept++
    }
    this.bytes = total
    pieces.count = kept
    pieces.bytes = total - this.copied
    if (total < ETHERNET_BYTES && this.fault === NO_FAULT) this.fault = PACKET_ERROR
  }

  /** Copies the first `room` bytes of a piece, or all. Returns their number. */
  #copy(source: Uint8Array, offset: number, bytes: number, room: number): number {
    const copied = bytes < room ? bytes : room
    this.memory.bytes.set(this.pieces.viewOf(source, offset, copied), this.copied)
    this.copied += copied
    return copied
  }
}
