/** NIC's end of a receive queue in gVNIC's format: a ring of posted buffers and one of completions. */

import type {
  PostedBuffer,
  PostedBuffers,
  RxCompletion,
  RxFrontEnd,
} from '../../stack/rings/rx-front-end.ts'
import {
  RX_COMPLETION_WORDS,
  RX_GENERATION_WORD,
  writeRxCompletion,
  writeRxCompletions,
} from '../formats/rx-completion.ts'
import {
  RX_DESCRIPTOR_WORDS,
  type RxDescriptor,
  readHeaderAddress,
  readRxDescriptor,
  readRxDescriptors,
} from '../formats/rx-descriptor.ts'
import { type GuestDma, GuestPiece } from '../guest-dma.ts'
import type { Interrupts } from '../interrupts.ts'
import { Publication } from './publication.ts'

/** Rings of a receive queue, as its driver created them. Their entries are powers of two. */
export interface RxRingParts {
  /** Words of the ring of completions. */
  readonly completions: Uint32Array
  /** Words of the ring of posted buffers. */
  readonly buffers: Uint32Array
  /** Bytes of each posted buffer. */
  readonly bufferBytes: number
  /** Bytes of each header buffer. 0 without header split. */
  readonly headerBytes: number
  /** Notification block to raise. */
  readonly block: number
}

export class GvnicRxRing implements RxFrontEnd {
  // The driver takes no completion without a valid buffer.
  readonly everyPacketTakesABuffer = true
  readonly noOffset = true
  readonly #memory: GuestPiece
  readonly #headerMemory: GuestPiece
  readonly #interrupts: Interrupts
  readonly #parts: RxRingParts
  readonly #buffers: Uint32Array
  readonly #completions: Uint32Array
  readonly #publication: Publication
  readonly #bufferMask: number
  readonly #completionMask: number
  readonly #descriptor = { id: 0, high: 0, low: 0 }
  #head = 0
  #tail = 0
  #completed = 0
  #generation = 1

  constructor(guest: GuestDma, interrupts: Interrupts, parts: RxRingParts) {
    const { buffers, completions } = parts
    this.#memory = new GuestPiece(guest, true)
    this.#headerMemory = new GuestPiece(guest, true)
    this.#interrupts = interrupts
    this.#parts = parts
    this.#buffers = buffers
    this.#completions = completions
    this.#publication = new Publication(completions)
    this.#bufferMask = buffers.length / RX_DESCRIPTOR_WORDS - 1
    this.#completionMask = completions.length / RX_COMPLETION_WORDS - 1
  }

  /** Bytes of each posted buffer. */
  get bufferBytes(): number {
    return this.#parts.bufferBytes
  }

  /** True with header split. */
  get split(): boolean {
    return this.#parts.headerBytes > 0
  }

  /** Takes the tail that the driver has written to the doorbell. Returns false if it is no index. */
  ring(tail: number): boolean {
    if (tail > this.#bufferMask) return false
    this.#tail = tail
    return true
  }

  posted(): number {
    return (this.#tail - this.#head) & this.#bufferMask
  }

  peek(ahead: number, into: PostedBuffer): boolean {
    if (ahead >= this.posted()) return false
    const descriptor = this.#descriptor
    readRxDescriptor(this.#buffers, this.#at(ahead), descriptor)
    into.id = descriptor.id
    locate(descriptor, this.#parts.bufferBytes, this.#memory, into)
    return true
  }

  peekAll(bytes: number, into: PostedBuffers): boolean {
    const { bufferBytes } = this.#parts
    if (bytes > bufferBytes * this.posted()) return false
    readRxDescriptors(this.#buffers, this.#head, bufferBytes, bytes, this.#memory, into)
    return true
  }

  take(count: number): void {
    this.#head = (this.#head + count) & this.#bufferMask
  }

  room(): number {
    // The driver posts no more buffers than it has read completions.
    return this.#completionMask + 1
  }

  headerBuffer(into: PostedBuffer): void {
    const { headerBytes } = this.#parts
    into.bytes = headerBytes
    if (headerBytes === 0 || this.posted() === 0) {
      // A header buffer that is not posted has no place yet. The NIC writes to none without a buffer.
      into.region = headerBytes === 0 ? -1 : 0
      into.offset = 0
      return
    }
    readHeaderAddress(this.#buffers, this.#at(0), this.#descriptor)
    locate(this.#descriptor, headerBytes, this.#headerMemory, into)
  }

  complete(completion: RxCompletion): void {
    const at = this.#completed * RX_COMPLETION_WORDS
    const word = writeRxCompletion(this.#completions, at, completion, this.#generation)
    this.#publication.add(at + RX_GENERATION_WORD, word)
    this.#completed = (this.#completed + 1) & this.#completionMask
    if (this.#completed === 0) this.#generation ^= 1
  }

  completeAll(completion: RxCompletion, buffers: PostedBuffers, bytes: number): void {
    const words = this.#completions
    const from = this.#completed
    const generation = this.#generation
    const publication = this.#publication
    writeRxCompletions(words, from, completion, buffers, bytes, generation, publication)
    const next = from + buffers.count
    if (next > this.#completionMask) this.#generation ^= 1
    this.#completed = next & this.#completionMask
  }

  flush(): void {
    if (this.#publication.publish()) this.#interrupts.raise(this.#parts.block)
  }

  #at(ahead: number): number {
    return ((this.#head + ahead) & this.#bufferMask) * RX_DESCRIPTOR_WORDS
  }
}

/** Finds the memory of a descriptor. */
function locate(
  { high, low }: RxDescriptor,
  bytes: number,
  memory: GuestPiece,
  into: PostedBuffer,
): void {
  memory.refresh()
  into.bytes = bytes
  into.region = memory.has(high, low, bytes) ? memory.region : -1
  into.offset = memory.offset + ((low - memory.low) | 0)
}
