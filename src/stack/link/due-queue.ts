/** An entry of a {@link DueQueue}. */
export interface Due {
  /** Time at which the entry is due. It stays while the entry is queued. */
  timeNs: number
  /** Number of the entry, which the queue gives. */
  order: number
}

/** Queue of entries by due time: a binary heap. Entries of equal times keep their order. */
export class DueQueue<T extends Due> {
  readonly #heap: T[] = []
  #order = 0

  /** Time at which the first entry is due. `Infinity` without one. */
  get nextNs(): number {
    return this.#heap[0]?.timeNs ?? Number.POSITIVE_INFINITY
  }

  push(entry: T): void {
    const heap = this.#heap
    entry.order = this.#order++
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || above.timeNs <= entry.timeNs) break
      heap[at] = above
      at = parent
    }
    heap[at] = entry
  }

  /** Takes the first entry. Returns `undefined` without one. */
  pop(): T | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      let below = heap[child]
      const right = heap[child + 1]
      if (below !== undefined && right !== undefined && isBefore(right, below)) {
        below = right
        child++
      }
      if (below === undefined || isBefore(last, below)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(one: Due, other: Due): boolean {
  return one.timeNs === other.timeNs ? one.order < other.order : one.timeNs < other.timeNs
}
