/**
 * Views of parts of memory, kept for the next use of the same part: a new view for each frame would be
 * garbage. The views keep their memory alive, so a queue forgets them while it is idle.
 */

/** Views kept: a power of two. */
const SLOTS = 4096

export class KeptViews {
  readonly #views: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(SLOTS).fill(
    undefined,
  )
  #empty = true

  /** Returns the view of `bytes` bytes at `offset` of `memory`, which are inside it. */
  view(memory: Uint8Array, offset: number, bytes: number): Uint8Array {
    const at = memory.byteOffset + offset
    // Offsets are multiples of many sizes. A single multiplication would map most of them to few
    // slots.
    const mixed = Math.imul(at ^ (at >>> 15), 0x85eb_ca6b)
    const slot = (mixed ^ (mixed >>> 13)) & (SLOTS - 1)
    const kept = this.#views[slot]
    if (
      kept !== undefined &&
      kept.buffer === memory.buffer &&
      kept.byteOffset === at &&
      kept.length === bytes
    ) {
      return kept
    }
    const view = memory.subarray(offset, offset + bytes)
    this.#views[slot] = view
    this.#empty = false
    return view
  }

  /** Drops all views. */
  forget(): void {
    if (this.#empty) return
    this.#views.fill(undefined)
    this.#empty = true
  }
}
