/**
 * Gathers the pieces of one packet. For a link that takes pieces the first bytes are copied, among
 * them all headers, and the rest is left where it lies.
 */

import { createFrameMemory, type FrameMemory } from '../../../wire/frame-memory.ts'
import { FramePieces } from '../../link/link.ts'
import { TX_END_OF_PACKET, type TxFrontEnd, TxPiece } from '../../rings/tx-front-end.ts'
import type { DmaSpace } from '../dma/dma-space.ts'
import { MappedRegion } from './mapped-region.ts'

/** Faults of a packet. Integers, since one is compared for every packet. */
export const NO_FAULT = 0
/** A piece is not in memory that is mapped for the device. */
export const DMA_FAULT = 1
/** The packet is too long or too short, has no end, or is not what its descriptor says. */
export const PACKET_ERROR = 2

// Packets that stay in pieces. Integers, since one is compared for every packet.
/** Mode: no packet goes in pieces. */
export const WHOLE_PACKET = 0
/** Mode: packets that are to be cut go in pieces (TSO). */
export const LARGE_IN_PIECES = 1
/** Mode: all packets go in pieces. */
export const ALL_IN_PIECES = 2

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
  flags = 0
  mssBytes = 0
  headerBytes = 0
  tag = 0
  fault: number = NO_FAULT
  /** True while the rest of a packet without an end is still to come. */
  discarding = false
  readonly #dma: DmaSpace
  readonly #region: MappedRegion
  readonly #piece = new TxPiece()
  readonly #maxBytes: number
  /** Number of unmapped regions when {@link pieces} were known to be of mapped memory alone. */
  #unmapped = 0

  constructor(dma: DmaSpace, maxFrameBytes: number) {
    this.#dma = dma
    this.#region = new MappedRegion(dma)
    this.#maxBytes = maxFrameBytes
    this.memory = createFrameMemory(maxFrameBytes)
  }

  /** Drops memory that may have been unmapped: call it before a batch, and while there is none. */
  forgetUnmapped(): void {
    const { unmapped } = this.#dma
    if (unmapped === this.#unmapped) return
    this.#unmapped = unmapped
    this.forget()
  }

  /** Drops all references to memory. */
  forget(): void {
    this.#region.forget()
    this.pieces.forget()
  }

  /**
   * Gathers the next packet. Returns the number of its pieces, for the caller to take, and 0 while its
   * end is not posted.
   *
   * @param inPieces the packets of which only the first bytes are to be copied: {@link WHOLE_PACKET} and so
   * on.
   */
  gather(frontEnd: TxFrontEnd, inPieces: number): number {
    const piece = this.#piece
    let copyBytes = this.#maxBytes
    let count = 0
    while (frontEnd.next(piece)) {
      if (count++ === 0 && !this.discarding) {
        this.#begin(piece)
        const stays = piece.mssBytes > 0 ? inPieces !== WHOLE_PACKET : inPieces === ALL_IN_PIECES
        if (stays && HEAD_BYTES < copyBytes) copyBytes = headBytes(piece.headerBytes)
      }
      this.flags |= piece.flags
      if (this.fault === NO_FAULT) this.#add(piece, copyBytes)
      if ((piece.flags & TX_END_OF_PACKET) !== 0) {
        this.discarding = false
        if (this.bytes < ETHERNET_BYTES && this.fault === NO_FAULT) this.fault = PACKET_ERROR
        return count
      }
    }
    if (!frontEnd.full || count === 0) {
      frontEnd.rewind()
      return 0
    }
    // A packet that has filled the ring can have no end: all of its pieces are dropped.
    this.discarding = true
    this.fault = PACKET_ERROR
    return count
  }

  /** Copies the rest of a packet that was left in pieces. */
  copyRest(): void {
    this.pieces.copyTo(this.memory.bytes, this.copied)
    this.copied = this.bytes
    this.pieces.clear()
  }

  #begin(piece: TxPiece): void {
    this.bytes = this.copied = this.flags = 0
    this.fault = NO_FAULT
    this.mssBytes = piece.mssBytes
    this.headerBytes = piece.headerBytes
    this.tag = piece.tag
    if (this.pieces.count > 0) this.pieces.clear()
  }

  #add(piece: TxPiece, copyBytes: number): void {
    const { offset, bytes } = piece
    const source = this.#region.memory(piece.region, offset, bytes)
    if (source === undefined) {
      this.fault = DMA_FAULT
      return
    }
    if (this.bytes + bytes > this.#maxBytes) {
      this.fault = PACKET_ERROR
      return
    }
    this.bytes += bytes
    const room = copyBytes - this.copied
    const copied = bytes < room ? bytes : room
    if (copied > 0) {
      this.memory.bytes.set(this.pieces.viewOf(source, offset, copied), this.copied)
      this.copied += copied
    }
    if (copied < bytes) this.pieces.add(source, offset + copied, bytes - copied)
  }
}
