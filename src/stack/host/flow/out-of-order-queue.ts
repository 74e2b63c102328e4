/**
 * Segments that wait for missing bytes before them: by position, without overlaps, within limits.
 * Most segments come at the end, so the search begins there.
 */

import type { AnySkb } from '../skb/skb.ts'

export class OutOfOrderQueue {
  readonly #skbs: AnySkb[] = []
  readonly #starts: number[] = []
  readonly #maxBytes: number
  readonly #maxSkbs: number
  #bytes = 0
  /** Skbs that the queue had no room for, and their bytes. */
  dropped = 0
  droppedBytes = 0

  constructor(maxBytes: number, maxSkbs: number) {
    this.#maxBytes = maxBytes
    this.#maxSkbs = maxSkbs
  }

  /** Number of skbs. */
  get length(): number {
    return this.#skbs.length
  }

  /** Number of payload bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Position of the first byte. Infinity if the queue is empty. */
  get firstStart(): number {
    return this.#starts[0] ?? Number.POSITIVE_INFINITY
  }

  /** True if another skb of `bytes` bytes fits. */
  hasRoom(bytes: number): boolean {
    return this.#skbs.length < this.#maxSkbs && this.#bytes + bytes <= this.#maxBytes
  }

  /** Takes over an skb at `position`, without the bytes that are queued already. Returns the number of those. */
  insert(skb: AnySkb, position: number): number {
    let at = this.#indexOf(position)
    let start = position
    let known = 0
    for (;;) {
      const bytes = skb.payloadLength
      const nextStart = this.#starts[at] ?? Number.POSITIVE_INFINITY
      if (start + bytes <= nextStart) {
        this.#put(at, start, skb)
        return known
      }
      if (start < nextStart) {
        if (this.#put(at, start, skb.splitFront(nextStart - start))) at++
        start = nextStart
        continue
      }
      const covered = Math.min(this.#end(at) - start, bytes)
      known += covered
      if (covered === bytes) {
        skb.free()
        return known
      }
      start += skb.trimFront(covered)
      at++
    }
  }

  /** Takes the first skb out. Returns `undefined` if the queue is empty. */
  shift(): AnySkb | undefined {
    const skb = this.#skbs.shift()
    this.#starts.shift()
    if (skb !== undefined) this.#bytes -= skb.payloadLength
    return skb
  }

  /** Frees the bytes behind `position`. Returns their number. */
  cut(position: number): number {
    const before = this.#bytes
    for (let last = this.#skbs.length - 1; last >= 0 && this.#end(last) > position; last--) {
      const skb = this.#skbs[last]
      if (skb === undefined) break
      this.#bytes -= skb.trimEnd(this.#end(last) - position)
      if (skb.payloadLength > 0) break
      this.#skbs.length = last
      this.#starts.length = last
      skb.free()
    }
    return before - this.#bytes
  }

  /** Frees all skbs. */
  clear(): void {
    this.#starts.length = 0
    this.#bytes = 0
    for (const skb of this.#skbs.splice(0)) skb.free()
  }

  #put(at: number, start: number, skb: AnySkb): boolean {
    const bytes = skb.payloadLength
    if (!this.hasRoom(bytes)) {
      this.dropped++
      this.droppedBytes += bytes
      skb.free()
      return false
    }
    this.#skbs.splice(at, 0, skb)
    this.#starts.splice(at, 0, start)
    this.#bytes += bytes
    return true
  }

  /** Returns the index of the first segment that ends behind `position`. A binary search, since senders choose the order. */
  #indexOf(position: number): number {
    let high = this.#skbs.length
    if (high === 0 || this.#end(high - 1) <= position) return high
    let low = 0
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#end(middle) > position) high = middle
      else low = middle + 1
    }
    return low
  }

  #end(at: number): number {
    return (this.#starts[at] ?? 0) + (this.#skbs[at]?.payloadLength ?? 0)
  }
}
