/**
 * Copies of frames, held until they are due. Every link that holds frames is made of it.
 *
 * The memory is a ring, reused in the order in which it was filled, so that frames of one size come
 * to lie in the same places. An entry that stays long holds up the memory behind it.
 */

import { createFrameMemory, type FrameMemory } from '../../wire/frame-memory.ts'
import { type Due, DueQueue } from './due-queue.ts'
import { emptyFrame, type FramePieces, type LinkFrame } from './link.ts'

/** Frames begin on cache lines. */
const ALIGNMENT = 64

/** A frame that a store holds. Its object is used for other frames later. */
export interface StoredFrame extends LinkFrame, Due {
  isFree: boolean
}

export class FrameStore {
  readonly memory: FrameMemory
  /** The frames by age, in a ring, and the limit of their number. */
  readonly #frames: StoredFrame[] = []
  readonly #limit: number
  readonly #due = new DueQueue<StoredFrame>()
  /** The frame that was taken last, whose memory may still be read. */
  #taken: StoredFrame | undefined
  /** Index of the oldest frame, and the number of frames from it on, freed ones included. */
  #oldest = 0
  #count = 0
  #writeAt = 0
  #usedBytes = 0

  /** @param bytes room for frames, each rounded up to 64 bytes. */
  constructor(bytes: number) {
    // A frame for each line, so that only memory runs out.
    this.#limit = Math.max(1, Math.floor(bytes / ALIGNMENT))
    this.memory = createFrameMemory(this.#limit * ALIGNMENT)
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
    const stored = this.hold(frame)
    if (stored !== undefined) this.setDue(stored, dueNs)
    return stored !== undefined
  }

  /** Copies a frame that is not due before {@link setDue}. Returns `undefined` without room. */
  hold(frame: LinkFrame): StoredFrame | undefined {
    const { memory, offset, length } = frame
    const stored = this.#add(frame, length)
    if (stored !== undefined) this.memory.bytes.set(memory.view(offset, length), stored.offset)
    return stored
  }

  /** Copies a frame in pieces that is due at `dueNs`. Returns false without room. */
  putPieces(head: LinkFrame, pieces: FramePieces, dueNs: number): boolean {
    const stored = this.#add(head, head.length + pieces.bytes)
    if (stored === undefined) return false
    const { bytes } = this.memory
    bytes.set(head.memory.view(head.offset, head.length), stored.offset)
    pieces.copyTo(bytes, stored.offset + head.length)
    this.setDue(stored, dueNs)
    return true
  }

  /** Copies an ordinary frame that is due at `dueNs`. Returns false without room. */
  putBytes(bytes: Uint8Array, checksum: LinkFrame['checksum'], dueNs: number): boolean {
    const { length } = bytes
    const stored = this.#add({ originalLength: length, checksum, segmentBytes: 0 }, length)
    if (stored === undefined) return false
    this.memory.bytes.set(bytes, stored.offset)
    this.setDue(stored, dueNs)
    return true
  }

  /** Makes a held frame due at `dueNs`. Call it once for each frame. */
  setDue(frame: StoredFrame, dueNs: number): void {
    frame.timeNs = dueNs
    this.#due.push(frame)
  }

  /** Returns the next frame that is due by `nowNs`, and frees the one taken before. */
  take(nowNs: number): LinkFrame | undefined {
    this.freeTaken()
    if (this.#due.nextNs > nowNs) return undefined
    this.#taken = this.#due.pop()
    return this.#taken
  }

  /** Frees the frame that was taken last. */
  freeTaken(): void {
    const frame = this.#taken
    if (frame === undefined) return
    this.#taken = undefined
    frame.isFree = true
    this.#usedBytes -= roundUp(frame.length)
    while (this.#count > 0 && this.#frames[this.#oldest]?.isFree === true) {
      this.#oldest = this.#wrap(this.#oldest + 1)
      this.#count--
    }
  }

  /** Adds a frame of `length` bytes, which the caller writes. Returns `undefined` without room. */
  #add(
    {
      originalLength,
      checksum,
      segmentBytes,
    }: Omit<LinkFrame, 'memory' | 'offset' | 'length' | 'timeNs'>,
    length: number,
  ): StoredFrame | undefined {
    const room = roundUp(length)
    const offset = this.#place(room)
    if (offset < 0) return undefined
    const at = this.#wrap(this.#oldest + this.#count++)
    // Not a spread: Node.js 20 makes objects of it on which this takes 20 times as long (November 2026).
    const frame =
      this.#frames[at] ?? Object.assign(emptyFrame(this.memory), { order: 0, isFree: false })
    this.#frames[at] = frame
    frame.offset = offset
    frame.length = length
    frame.originalLength = originalLength
    frame.checksum = checksum
    frame.segmentBytes = segmentBytes
    frame.layout = undefined
    frame.isFree = false
    this.#writeAt = offset + room
    this.#usedBytes += room
    return frame
  }

  /** Returns the offset of `room` contiguous free bytes, −1 without them. */
  #place(room: number): number {
    const bytes = this.memory.bytes.length
    if (this.#count === 0) return room <= bytes ? 0 : -1
    if (this.#count === this.#limit) return -1
    const at = this.#writeAt
    const first = this.#frames[this.#oldest]?.offset ?? 0
    // Every frame takes room, so the two meet only when all of it is used.
    if (at <= first) return room <= first - at ? at : -1
    if (room <= bytes - at) return at
    return room <= first ? 0 : -1
  }

  #wrap(index: number): number {
    return index < this.#limit ? index : index - this.#limit
  }
}

function roundUp(length: number): number {
  return Math.max(ALIGNMENT, (length + ALIGNMENT - 1) & -ALIGNMENT)
}
