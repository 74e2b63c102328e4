/**
 * The ring between the alloc cache and the provider: first in, first out, so that memory rests before it
 * is used again. Holds the integers of handles and belongs to one thread. Memory that other threads give
 * back arrives through the table of the `Lender` and is put here.
 */
export class RecycleRing {
  // Placeholders: a field that begins with a value of its type is not checked at each use.
  readonly #slots: Int32Array = new Int32Array(0)
  readonly #mask: number = 0
  // Both run on without wrapping to the ring's size, so that full and empty differ. 2^32 wraps
  // harmlessly.
  #head = 0
  #tail = 0

  /** `size` is rounded up to a power of two. */
  constructor(size: number) {
    const slots = 2 ** Math.ceil(Math.log2(size))
    this.#slots = new Int32Array(slots)
    this.#mask = slots - 1
  }

  get length(): number {
    return (this.#tail - this.#head) | 0
  }

  /** Returns false if there was no room. */
  push(handle: number): boolean {
    const tail = this.#tail
    if (((tail - this.#head) | 0) > this.#mask) return false
    this.#slots[tail & this.#mask] = handle
    this.#tail = (tail + 1) | 0
    return true
  }

  /** Moves up to `limit` of the oldest handles to `cache`, from index `start` on. Returns their number. */
  moveTo(cache: Int32Array, start: number, limit: number): number {
    const slots = this.#slots
    const mask = this.#mask
    const head = this.#head
    const moved = Math.min(limit, this.length)
    for (let at = 0; at < moved; at++) cache[start + at] = slots[(head + at) & mask] ?? -1
    this.#head = (head + moved) | 0
    return moved
  }

  /** Lists the handles, the oldest first. */
  handles(): number[] {
    return Array.from({ length: this.length }, (_, at) => {
      return this.#slots[(this.#head + at) & this.#mask] ?? -1
    })
  }
}
