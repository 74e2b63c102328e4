/**
 * Copies of frames, held until they are due. Every link that holds frames is made of it.
 *
 * The memory is a ring, reused in the order in which it was filled, so that frames of one size come
 * to lie in the same places. An entry that stays long holds up the memory behind it.
 */

import { createFrameMemory, type FrameMemory } from '../../wire/frame-memory.ts'
import { DueQueue } from './due-queue.ts'
import { emptyFrame, type FramePieces, type LinkFrame } from './link.ts'

/** Frames begin on cache lines. */
const ALIGNMENT = 64

export class FrameStore {
  readonly memory: FrameMemory
  readonly #bytes: number
  readonly #entries: number
  readonly #offsets: Int32Array
  readonly #lengths: Int32Array
  readonly #originalLengths: Float64Array
  readonly #partial: Uint8Array
  readonly #segmentBytes: Int32Array
  readonly #freed: Uint8Array
  readonly #due: DueQueue
  readonly #frame: LinkFrame
  /** The entry that was taken last, whose memory may still be read. */
  #taken = -1
  /** The oldest entry, and the number of entries from it on, freed ones included. */
  #oldest = 0
  #count = 0
  #writeAt = 0
  #usedBytes = 0

  /** @param bytes room for frames, each rounded up to 64 bytes. */
  constructor(bytes: number) {
    // An entry for each line, so that only memory runs out.
    const entries = Math.max(1, Math.floor(bytes / ALIGNMENT))
    this.#entries = entries
    this.#bytes = entries * ALIGNMENT
    this.memory = createFrameMemory(this.#bytes)
    this.#offsets = new Int32Array(entries)
    this.#lengths = new Int32Array(entries)
    this.#originalLengths = new Float64Array(entries)
    this.#partial = new Uint8Array(entries)
    this.#segmentBytes = new Int32Array(entries)
    this.#freed = new Uint8Array(entries)
    this.#due = new DueQueue(entries)
    this.#frame = emptyFrame(this.memory)
  }

  /** Time at which the next frame is due. `Infinity` without one. */
  get nextNs(): number {
    return this.#due.nextNs
  }

  /** Bytes in use, the frame taken last included. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Copies a frame that is due at `dueNs`. Returns false without room. */
  put(frame: LinkFrame, dueNs: number): boolean {
    const entry = this.hold(frame)
    if (entry >= 0) this.#due.push(dueNs, entry)
    return entry >= 0
  }

  /** Copies a frame that is not due before {@link setDue}. Returns its entry, −1 without room. */
  hold(frame: LinkFrame): number {
    const { length } = frame
    const offset = this.#place(roundUp(length))
    if (offset < 0) return -1
    this.memory.bytes.set(frame.memory.view(frame.offset, length), offset)
    return this.#add(offset, length, frame.originalLength, frame.checksum, frame.segmentBytes)
  }

  /** Copies a frame in pieces that is due at `dueNs`. Returns false without room. */
  putPieces(head: LinkFrame, pieces: FramePieces, dueNs: number): boolean {
    const length = head.length + pieces.bytes
    const offset = this.#place(roundUp(length))
    if (offset < 0) return false
    const { bytes } = this.memory
    bytes.set(head.memory.view(head.offset, head.length), offset)
    pieces.copyTo(bytes, offset + head.length)
    const { originalLength, checksum, segmentBytes } = head
    this.#due.push(dueNs, this.#add(offset, length, originalLength, checksum, segmentBytes))
    return true
  }

  /** Copies an ordinary frame that is due at `dueNs`. Returns false without room. */
  putBytes(bytes: Uint8Array, checksum: LinkFrame['checksum'], dueNs: number): boolean {
    const { length } = bytes
    const offset = this.#place(roundUp(length))
    if (offset < 0) return false
    this.memory.bytes.set(bytes, offset)
    this.#due.push(dueNs, this.#add(offset, length, length, checksum, 0))
    return true
  }

  /** Adds the entry of a frame that has been written. */
  #add(
    offset: number,
    length: number,
    originalLength: number,
    checksum: LinkFrame['checksum'],
    segmentBytes: number,
  ): number {
    const room = roundUp(length)
    const entry = this.#wrap(this.#oldest + this.#count++)
    this.#writeAt = offset + room
    this.#usedBytes += room
    this.#offsets[entry] = offset
    this.#lengths[entry] = length
    this.#originalLengths[entry] = originalLength
    this.#partial[entry] = checksum === 'partial' ? 1 : 0
    this.#segmentBytes[entry] = segmentBytes
    this.#freed[entry] = 0
    return entry
  }

  /** Makes a held entry due at `dueNs`. Call it once for each entry. */
  setDue(entry: number, dueNs: number): void {
    this.#due.push(dueNs, entry)
  }

  /** Flips one bit of an entry. */
  flipBit(entry: number, bit: number): void {
    const { bytes } = this.memory
    const at = (this.#offsets[entry] ?? 0) + ((bit >>> 3) % (this.#lengths[entry] ?? 1))
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7))
  }

  /** Returns the next frame that is due by `nowNs`, and frees the one taken before. */
  take(nowNs: number): LinkFrame | undefined {
    this.freeTaken()
    const dueNs = this.#due.nextNs
    if (dueNs > nowNs) return undefined
    const entry = this.#due.pop()
    if (entry < 0) return undefined
    this.#taken = entry
    const frame = this.#frame
    frame.offset = this.#offsets[entry] ?? 0
    frame.length = this.#lengths[entry] ?? 0
    frame.originalLength = this.#originalLengths[entry] ?? 0
    frame.timeNs = dueNs
    frame.checksum = this.#partial[entry] === 1 ? 'partial' : 'complete'
    frame.segmentBytes = this.#segmentBytes[entry] ?? 0
    return frame
  }

  /** Frees the frame that was taken last. */
  freeTaken(): void {
    const entry = this.#taken
    if (entry < 0) return
    this.#taken = -1
    this.#freed[entry] = 1
    this.#usedBytes -= roundUp(this.#lengths[entry] ?? 0)
    while (this.#count > 0 && this.#freed[this.#oldest] === 1) {
      this.#oldest = this.#wrap(this.#oldest + 1)
      this.#count--
    }
  }

  /** Returns the offset of `room` contiguous free bytes, −1 without them. */
  #place(room: number): number {
    if (this.#count === 0) return room <= this.#bytes ? 0 : -1
    if (this.#count === this.#entries) return -1
    const at = this.#writeAt
    const first = this.#offsets[this.#oldest] ?? 0
    // Every entry takes room, so the two meet only when all of it is used.
    if (at <= first) return room <= first - at ? at : -1
    if (room <= this.#bytes - at) return at
    return room <= first ? 0 : -1
  }

  #wrap(entry: number): number {
    return entry < this.#entries ? entry : entry - this.#entries
  }
}

function roundUp(length: number): number {
  return Math.max(ALIGNMENT, (length + ALIGNMENT - 1) & -ALIGNMENT)
}
