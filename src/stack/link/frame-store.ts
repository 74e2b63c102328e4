/**
 * Frames copied into memory of the store's own, for links that hold frames until their time has
 * come. A ring: memory is used again in the order in which it was filled, so that frames of one
 * size lie in the same places again and again. Entries may be freed in any order; one that is not
 * holds up those behind it.
 */

import { type FrameMemory, makeFrameMemory } from '../../wire/frame-memory.ts'
import type { LinkFrame } from './link.ts'

/** Where frames begin: on cache lines. */
const ALIGNMENT = 64

export class FrameStore {
  readonly memory: FrameMemory
  /** Frames it can hold, however small they are. */
  readonly entries: number
  readonly #bytes: number
  readonly #offsets: Int32Array
  readonly #lengths: Int32Array
  readonly #originalLengths: Float64Array
  readonly #timesNs: Float64Array
  readonly #partial: Uint8Array
  readonly #freed: Uint8Array
  /** The oldest entry, and how many there are from it on, freed ones between them included. */
  #oldest = 0
  #count = 0
  #writeAt = 0
  #used = 0

  /** Room for `bytes` of frames, each rounded up to 64. */
  constructor(bytes: number) {
    this.entries = Math.max(1, Math.floor(bytes / ALIGNMENT))
    this.#bytes = this.entries * ALIGNMENT
    this.memory = makeFrameMemory(this.#bytes)
    this.#offsets = new Int32Array(this.entries)
    this.#lengths = new Int32Array(this.entries)
    this.#originalLengths = new Float64Array(this.entries)
    this.#timesNs = new Float64Array(this.entries)
    this.#partial = new Uint8Array(this.entries)
    this.#freed = new Uint8Array(this.entries)
  }

  /** The entry that has been there longest; −1 when there is none. */
  get oldest(): number {
    return this.#count === 0 ? -1 : this.#oldest
  }

  /** The one behind it; −1 when there is none. Only of use where entries are freed in order. */
  get secondOldest(): number {
    return this.#count < 2 ? -1 : this.#wrap(this.#oldest + 1)
  }

  /** Bytes that are not free. */
  get usedBytes(): number {
    return this.#used
  }

  /** Copies a frame, to be called at `timeNs`: its entry, or −1 when there is no room. */
  put(frame: LinkFrame, timeNs: number): number {
    const { length } = frame
    const room = roundUp(length)
    const offset = this.#place(room)
    if (offset < 0) return -1
    this.memory.bytes.set(frame.memory.view(frame.offset, length), offset)
    const entry = this.#wrap(this.#oldest + this.#count++)
    this.#writeAt = offset + room
    this.#used += room
    this.#offsets[entry] = offset
    this.#lengths[entry] = length
    this.#originalLengths[entry] = frame.originalLength
    this.#timesNs[entry] = timeNs
    this.#partial[entry] = frame.checksum === 'partial' ? 1 : 0
    this.#freed[entry] = 0
    return entry
  }

  timeNs(entry: number): number {
    return this.#timesNs[entry] ?? 0
  }

  offset(entry: number): number {
    return this.#offsets[entry] ?? 0
  }

  /** Describes an entry in `into`, in place: until it is freed. */
  load(entry: number, into: LinkFrame): void {
    into.memory = this.memory
    into.layout = undefined
    into.offset = this.#offsets[entry] ?? 0
    into.length = this.#lengths[entry] ?? 0
    into.originalLength = this.#originalLengths[entry] ?? 0
    into.timeNs = this.#timesNs[entry] ?? 0
    into.checksum = this.#partial[entry] === 1 ? 'partial' : 'complete'
  }

  /** Frees an entry, once. */
  free(entry: number): void {
    this.#freed[entry] = 1
    this.#used -= roundUp(this.#lengths[entry] ?? 0)
    while (this.#count > 0 && this.#freed[this.#oldest] === 1) {
      this.#oldest = this.#wrap(this.#oldest + 1)
      this.#count--
    }
  }

  /** Where `room` neighbouring bytes are free; −1 if nowhere. */
  #place(room: number): number {
    if (this.#count === 0) return room <= this.#bytes ? 0 : -1
    if (this.#count === this.entries) return -1
    const at = this.#writeAt
    const first = this.#offsets[this.#oldest] ?? 0
    if (at <= first) return room <= first - at ? at : -1
    if (room <= this.#bytes - at) return at
    return room <= first ? 0 : -1
  }

  #wrap(entry: number): number {
    return entry < this.entries ? entry : entry - this.entries
  }
}

function roundUp(length: number): number {
  return Math.max(ALIGNMENT, (length + ALIGNMENT - 1) & -ALIGNMENT)
}
