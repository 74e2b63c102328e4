/**
 * NIC's end of a transmit queue in gVNIC's format: a ring of descriptors and one of completions.
 *
 * A descriptor is read into an object of ours, and checked and used there, so the guest cannot change
 * what has been checked. Contexts become fields of the packet behind them.
 */

import { TX_END_OF_PACKET, type TxFrontEnd, type TxPieces } from '../../stack/rings/tx-front-end.ts'
import {
  TX_COMPLETION_WORDS,
  TX_DESCRIPTOR_COMPLETION,
  TX_PACKET_COMPLETION,
  writeTxCompletion,
} from '../formats/tx-completion.ts'
import { readTxPacket, TX_DESCRIPTOR_WORDS } from '../formats/tx-descriptor.ts'
import { type GuestDma, GuestPiece } from '../guest-dma.ts'
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

export class GvnicTxRing implements TxFrontEnd {
  readonly #memory: GuestPiece
  readonly #interrupts: Interrupts
  readonly #parts: TxRingParts
  readonly #descriptors: Uint32Array
  readonly #completions: Uint32Array
  readonly #publication: Publication
  readonly #mask: number
  readonly #completionMask: number
  #tail = 0
  /** Next descriptor to read. */
  #read = 0
  /** Descriptors up to here are taken. */
  #head = 0
  #completed = 0
  #generation = 1

  constructor(guest: GuestDma, interrupts: Interrupts, parts: TxRingParts) {
    const { descriptors, completions } = parts
    const entries = descriptors.length / TX_DESCRIPTOR_WORDS
    this.#memory = new GuestPiece(guest, false)
    this.#interrupts = interrupts
    this.#parts = parts
    this.#descriptors = descriptors
    this.#completions = completions
    this.#publication = new Publication(completions)
    this.#mask = entries - 1
    this.#completionMask = completions.length / TX_COMPLETION_WORDS - 1
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
    return (this.#tail - this.#head) & this.#mask
  }

  read(into: TxPieces): boolean {
    this.#read = readTxPacket(this.#descriptors, this.#read, this.#tail, this.#memory, into)
    return (into.flags & TX_END_OF_PACKET) !== 0
  }

  take(): number {
    const count = (this.#read - this.#head) & this.#mask
    this.#head = this.#read
    return count
  }

  rewind(): void {
    this.#read = this.#head
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
}
