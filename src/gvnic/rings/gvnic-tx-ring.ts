/**
 * NIC's end of a transmit queue in gVNIC's format: a ring of descriptors and one of completions.
 *
 * Descriptors are read once, when the NIC looks what is posted, into a ring of pieces. So the guest
 * cannot change what has been checked, and contexts become fields of their packet's first piece.
 */

import {
  TX_CHECKSUM,
  TX_END_OF_PACKET,
  TX_REPORT,
  type TxFrontEnd,
  type TxPiece,
} from '../../stack/rings/tx-front-end.ts'
import {
  TX_COMPLETION_WORDS,
  TX_DESCRIPTOR_COMPLETION,
  TX_PACKET_COMPLETION,
  writeTxCompletion,
} from '../formats/tx-completion.ts'
import {
  readTxDescriptor,
  TX_DESCRIPTOR_WORDS,
  TxDescriptor,
  TxDescriptorType,
} from '../formats/tx-descriptor.ts'
import { addressOf, type GuestDma } from '../guest-dma.ts'
import type { Interrupts } from '../interrupts.ts'
import { Publication } from './publication.ts'

/** Rings of a transmit queue, as its driver created them. Their entries are powers of two. */
export interface TxRingParts {
  /** Number of the queue, which its completions bear. */
  readonly queue: number
  /** Words of the ring of descriptors. */
  readonly descriptors: Uint32Array
  /** Words of the ring of completions. */
  readonly completions: Uint32Array
  /** Notification block to raise. */
  readonly block: number
}

// Words of a piece.
const REGION = 0
const OFFSET = 1
const BYTES = 2
const FLAGS = 3
const MSS = 4
const HEADER = 5
const TAG = 6
/** Index of the descriptor behind the piece. */
const BEHIND = 7
const PIECE_WORDS = 8

export class GvnicTxRing implements TxFrontEnd {
  readonly #guest: GuestDma
  readonly #interrupts: Interrupts
  readonly #parts: TxRingParts
  readonly #descriptors: Uint32Array
  readonly #completions: Uint32Array
  readonly #publication: Publication
  readonly #mask: number
  readonly #completionMask: number
  readonly #descriptor = new TxDescriptor()
  /** Two pieces for each descriptor: one that crosses the border of two maps is cut in two. */
  readonly #pieces: Int32Array
  readonly #pieceMask: number
  #pieceHead = 0
  #pieceTail = 0
  /** Next descriptor to read. */
  #read = 0
  #tail = 0
  /** Descriptors up to here are taken. */
  #head = 0
  /** True if the next piece is the first of its packet. */
  #first = true
  #segmentBytes = 0
  #headerBytes = 0
  #completed = 0
  #generation = 1

  constructor(guest: GuestDma, interrupts: Interrupts, parts: TxRingParts) {
    const { descriptors, completions } = parts
    const entries = descriptors.length / TX_DESCRIPTOR_WORDS
    this.#guest = guest
    this.#interrupts = interrupts
    this.#parts = parts
    this.#descriptors = descriptors
    this.#completions = completions
    this.#publication = new Publication(completions)
    this.#mask = entries - 1
    this.#completionMask = completions.length / TX_COMPLETION_WORDS - 1
    this.#pieces = new Int32Array(2 * entries * PIECE_WORDS)
    this.#pieceMask = 2 * entries - 1
  }

  /** Takes the tail that the driver has written to the doorbell. Returns false if it is no index. */
  ring(tail: number): boolean {
    if (tail > this.#mask) return false
    this.#tail = tail
    return true
  }

  get full(): boolean {
    // A descriptor stays free. Contexts count as well, though they are no pieces.
    return ((this.#tail - this.#head) & this.#mask) === this.#mask
  }

  posted(): number {
    if (this.#read !== this.#tail) this.#readDescriptors()
    return (this.#pieceTail - this.#pieceHead) & this.#pieceMask
  }

  peek(ahead: number, into: TxPiece): boolean {
    if (ahead >= ((this.#pieceTail - this.#pieceHead) & this.#pieceMask)) return false
    const pieces = this.#pieces
    const at = ((this.#pieceHead + ahead) & this.#pieceMask) * PIECE_WORDS
    into.region = pieces[at + REGION] ?? -1
    into.offset = pieces[at + OFFSET] ?? 0
    into.bytes = pieces[at + BYTES] ?? 0
    into.flags = pieces[at + FLAGS] ?? 0
    into.mssBytes = pieces[at + MSS] ?? 0
    into.headerBytes = pieces[at + HEADER] ?? 0
    into.tag = pieces[at + TAG] ?? 0
    return true
  }

  take(count: number): void {
    if (count <= 0) return
    const last = (this.#pieceHead + count - 1) & this.#pieceMask
    this.#head = this.#pieces[last * PIECE_WORDS + BEHIND] ?? 0
    this.#pieceHead = (last + 1) & this.#pieceMask
  }

  completeHead(): void {
    this.#complete(TX_DESCRIPTOR_COMPLETION, this.#head)
  }

  complete(tag: number): void {
    this.#complete(TX_PACKET_COMPLETION, tag)
  }

  flush(): void {
    if (this.#publication.publish()) this.#interrupts.raise(this.#parts.block)
  }

  #complete(type: number, value: number): void {
    const at = this.#completed * TX_COMPLETION_WORDS
    const { queue } = this.#parts
    const word = writeTxCompletion(this.#completions, at, queue, type, value, this.#generation)
    this.#publication.add(at, word)
    this.#completed = (this.#completed + 1) & this.#completionMask
    if (this.#completed === 0) this.#generation ^= 1
  }

  #readDescriptors(): void {
    const words = this.#descriptors
    const descriptor = this.#descriptor
    let read = this.#read
    while (read !== this.#tail && this.#hasRoom()) {
      readTxDescriptor(words, read * TX_DESCRIPTOR_WORDS, descriptor)
      read = (read + 1) & this.#mask
      if (descriptor.type === TxDescriptorType.packet) this.#addPacket(read)
      else if (descriptor.type === TxDescriptorType.segmentation) {
        this.#segmentBytes = descriptor.segmentBytes
        this.#headerBytes = descriptor.headerBytes
      }
    }
    this.#read = read
  }

  /** Returns true if both pieces of a descriptor have room. */
  #hasRoom(): boolean {
    return ((this.#pieceTail - this.#pieceHead) & this.#pieceMask) < this.#pieceMask - 1
  }

  #addPacket(behind: number): void {
    const guest = this.#guest
    const { high, low, bytes, endOfPacket, checksum, report } = this.#descriptor
    let flags = 0
    if (endOfPacket) flags |= TX_END_OF_PACKET
    if (checksum) flags |= TX_CHECKSUM
    if (report) flags |= TX_REPORT
    const room = guest.locateWords(high, low, bytes, false)
    const { region, offset } = guest
    if (room >= bytes) this.#addPiece(region, offset, bytes, flags, behind)
    else if (
      room > 0 &&
      guest.locate(addressOf(high, low) + room, bytes - room, false) === bytes - room
    ) {
      this.#addPiece(region, offset, room, flags & ~(TX_END_OF_PACKET | TX_REPORT), behind)
      this.#addPiece(guest.region, guest.offset, bytes - room, flags, behind)
    } else this.#addPiece(-1, 0, bytes, flags, behind)
  }

  #addPiece(region: number, offset: number, bytes: number, flags: number, behind: number): void {
    const pieces = this.#pieces
    const at = this.#pieceTail * PIECE_WORDS
    pieces[at + REGION] = region
    pieces[at + OFFSET] = offset
    pieces[at + BYTES] = bytes
    pieces[at + FLAGS] = flags
    pieces[at + MSS] = this.#first ? this.#segmentBytes : 0
    pieces[at + HEADER] = this.#first ? this.#headerBytes : 0
    pieces[at + TAG] = this.#descriptor.tag
    pieces[at + BEHIND] = behind
    this.#pieceTail = (this.#pieceTail + 1) & this.#pieceMask
    this.#first = (flags & TX_END_OF_PACKET) !== 0
    if (this.#first) this.#segmentBytes = this.#headerBytes = 0
  }
}
