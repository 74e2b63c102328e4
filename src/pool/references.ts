/**
 * Netmem with more than one reference: how many, and of which handle, since the slot's state says
 * only that there are several. Made when the first is shared: most pools share none.
 */
export class References {
  readonly #capacity: number
  #counts: Int32Array | undefined
  #handles: Int32Array | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  set(slot: number, handle: number, count: number): void {
    this.#counts ??= new Int32Array(this.#capacity)
    this.#handles ??= new Int32Array(this.#capacity)
    this.#counts[slot] = count
    this.#handles[slot] = handle
  }

  of(slot: number): number {
    return this.#counts?.[slot] ?? 0
  }

  /** Whether `handle` is the one that a slot was shared under. */
  isOf(slot: number, handle: number): boolean {
    return this.#handles?.[slot] === handle
  }
}
