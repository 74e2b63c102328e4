/**
 * Queue of numbers by due time: a binary heap in typed arrays. Entries of equal times keep their
 * order.
 */
export class DueQueue {
  readonly #timesNs: Float64Array
  readonly #orders: Float64Array
  readonly #entries: Int32Array
  #length = 0
  #order = 0

  /** @param entries limit of the queue, which the caller keeps to. */
  constructor(entries: number) {
    this.#timesNs = new Float64Array(entries)
    this.#orders = new Float64Array(entries)
    this.#entries = new Int32Array(entries)
  }

  get length(): number {
    return this.#length
  }

  /** Time at which the first entry is due. `Infinity` without one. */
  get nextNs(): number {
    return this.#length === 0 ? Number.POSITIVE_INFINITY : (this.#timesNs[0] ?? 0)
  }

  push(timeNs: number, entry: number): void {
    const order = this.#order++
    let at = this.#length++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((this.#timesNs[parent] ?? 0) <= timeNs) break
      this.#move(parent, at)
      at = parent
    }
    this.#set(at, timeNs, order, entry)
  }

  /** Takes the first entry. Returns −1 without one. */
  pop(): number {
    if (this.#length === 0) return -1
    const first = this.#entries[0] ?? -1
    const last = --this.#length
    const timeNs = this.#timesNs[last] ?? 0
    const order = this.#orders[last] ?? 0
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= last) break
      if (child + 1 < last && this.#before(child + 1, child)) child++
      const childNs = this.#timesNs[child] ?? 0
      if (timeNs < childNs || (timeNs === childNs && order < (this.#orders[child] ?? 0))) break
      this.#move(child, at)
      at = child
    }
    this.#set(at, timeNs, order, this.#entries[last] ?? -1)
    return first
  }

  #before(one: number, other: number): boolean {
    const oneNs = this.#timesNs[one] ?? 0
    const otherNs = this.#timesNs[other] ?? 0
    if (oneNs !== otherNs) return oneNs < otherNs
    return (this.#orders[one] ?? 0) < (this.#orders[other] ?? 0)
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#timesNs[from] ?? 0, this.#orders[from] ?? 0, this.#entries[from] ?? -1)
  }

  #set(at: number, timeNs: number, order: number, entry: number): void {
    this.#timesNs[at] = timeNs
    this.#orders[at] = order
    this.#entries[at] = entry
  }
}
