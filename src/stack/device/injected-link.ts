/** The NIC's end of a wire whose far end is in another thread: frames are put in, and called out. */

import { type FrameMemory, makeFrameMemory } from '../../wire/frame-memory.ts'
import type { Link, LinkFrame } from '../link/link.ts'

/** Frames begin on cache lines; an entry for each that fits makes room the only limit. */
const ALIGNMENT = 64

export class InjectedLink implements Link {
  readonly #memory: FrameMemory
  readonly #bytes: number
  readonly #entries: number
  readonly #transmitted: (frame: LinkFrame) => void
  readonly #offsets: Int32Array
  readonly #lengths: Int32Array
  readonly #timesNs: Float64Array
  readonly #partial: Uint8Array
  readonly #frame: LinkFrame
  /** The entry that has waited longest, and how many there are. */
  #oldest = 0
  #count = 0
  /** 1 while the oldest entry has been handed out and its memory may still be read. */
  #out = 0
  #writeAt = 0
  #lastNs = 0
  #closed = false

  /** Room for `bytes` of frames, each rounded up to 64. */
  constructor(bytes: number, transmitted: (frame: LinkFrame) => void) {
    this.#entries = Math.floor(bytes / ALIGNMENT)
    this.#bytes = this.#entries * ALIGNMENT
    this.#memory = makeFrameMemory(this.#bytes)
    this.#transmitted = transmitted
    this.#offsets = new Int32Array(this.#entries)
    this.#lengths = new Int32Array(this.#entries)
    this.#timesNs = new Float64Array(this.#entries)
    this.#partial = new Uint8Array(this.#entries)
    this.#frame = {
      memory: this.#memory,
      offset: 0,
      length: 0,
      originalLength: 0,
      timeNs: 0,
      checksum: 'complete',
    }
  }

  receive(nowNs: number): LinkFrame | undefined {
    if (this.#out === 1) {
      this.#out = 0
      this.#oldest = this.#wrap(this.#oldest + 1)
      this.#count--
    }
    if (this.#count === 0) return undefined
    const entry = this.#oldest
    const timeNs = this.#timesNs[entry] ?? 0
    if (timeNs > nowNs) return undefined
    this.#out = 1
    const frame = this.#frame
    frame.offset = this.#offsets[entry] ?? 0
    frame.length = this.#lengths[entry] ?? 0
    frame.originalLength = frame.length
    frame.timeNs = timeNs
    frame.checksum = this.#partial[entry] === 1 ? 'partial' : 'complete'
    return frame
  }

  nextAtNs(): number {
    if (this.#count === this.#out) return Number.POSITIVE_INFINITY
    return this.#timesNs[this.#wrap(this.#oldest + this.#out)] ?? 0
  }

  get ended(): boolean {
    return this.#closed && this.#count === this.#out
  }

  transmit(frame: LinkFrame): void {
    if (!this.#closed) this.#transmitted(frame)
  }

  /** No more frames are taken, either way; those that wait still arrive. */
  close(): void {
    this.#closed = true
  }

  /**
   * Puts a frame on the wire that arrives at `timeNs`, or with the one before it if that is later:
   * a wire keeps the order. False when there is no room for it, or the link is closed.
   */
  inject(frame: Uint8Array, timeNs: number, checksum: LinkFrame['checksum']): boolean {
    const room = Math.ceil(Math.max(1, frame.length) / ALIGNMENT) * ALIGNMENT
    const offset = this.#closed ? -1 : this.#place(room)
    if (offset < 0) return false
    this.#memory.bytes.set(frame, offset)
    this.#writeAt = offset + room
    const entry = this.#wrap(this.#oldest + this.#count++)
    this.#lastNs = Math.max(this.#lastNs, timeNs)
    this.#offsets[entry] = offset
    this.#lengths[entry] = frame.length
    this.#timesNs[entry] = this.#lastNs
    this.#partial[entry] = checksum === 'partial' ? 1 : 0
    return true
  }

  /** Where `room` neighbouring bytes are free; −1 if nowhere. */
  #place(room: number): number {
    if (this.#count === 0) return room <= this.#bytes ? 0 : -1
    const at = this.#writeAt
    const first = this.#offsets[this.#oldest] ?? 0
    // Nothing waits without room of its own, so they meet only when all of it is used.
    if (at <= first) return room <= first - at ? at : -1
    if (room <= this.#bytes - at) return at
    return room <= first ? 0 : -1
  }

  #wrap(entry: number): number {
    return entry < this.#entries ? entry : entry - this.#entries
  }
}
