/**
 * Segments that wait for missing bytes before them: by position, without overlaps, within limits.
 * Most segments come at the end, so the search begins there.
 */

import type { AnySkb } from '../skb/skb.ts'

/** An skb, and the position of its payload in the stream. */
interface Segment {
  readonly skb: AnySkb
  readonly start: number
}

export class OutOfOrderQueue {
  readonly #segments: Segment[] = []
  /** Largest number of payload bytes. */
  readonly maxBytes: number
  readonly #maxSkbs: number
  /** Number of payload bytes. */
  bytes = 0
  /** Skbs that the queue had no room for, and their bytes. */
  dropped = 0
  dropped_bytes = 0

  constructor(maxBytes: number, maxSkbs: number) {
    this.maxBytes = maxBytes
    this.#maxSkbs = maxSkbs
  }

  /** Number of skbs. */
  get length(): number {
    return this.#segments.length
  }

  /** Position of the first byte. Infinity if the queue is empty. */
  get firstStart(): number {
    return this.#segments[0]?.start ?? Number.POSITIVE_INFINITY
  }

  /** True if another skb of `bytes` bytes fits. */
  hasRoom(bytes: number): boolean {
    return this.length < this.#maxSkbs && this.bytes + bytes <= this.maxBytes
  }

  /**
   * Takes over an skb at `position`, without the bytes that are queued already. Returns the number of those.
   *
   * @param isNext True if no bytes are missing before it. It leaves at once, so the limits do not apply.
   */
  insert(skb: AnySkb, position: number, isNext: boolean): number {
    let at = this.#indexOf(position)
    let start = position
    let known = 0
    for (;;) {
      const bytes = skb.payloadLength
      const nextStart = this.#segments[at]?.start ?? Number.POSITIVE_INFINITY
      if (start + bytes <= nextStart) {
        this.#put(at, start, skb, isNext)
        return known
      }
      if (start < nextStart) {
        if (this.#put(at, start, skb.splitFront(nextStart - start), isNext)) at++
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
    const skb = this.#segments.shift()?.skb
    if (skb !== undefined) this.bytes -= skb.payloadLength
    return skb
  }

  /** Frees the bytes behind `position`. Returns their number. */
  cut(position: number): number {
    const before = this.bytes
    for (let last = this.length - 1; last >= 0 && this.#end(last) > position; last--) {
      const skb = this.#segments[last]?.skb
      if (skb === undefined) break
      this.bytes -= skb.trimEnd(this.#end(last) - position)
      if (skb.payloadLength > 0) break
      this.#segments.length = last
      skb.free()
    }
    return before - this.bytes
  }

  /** Frees all skbs. */
  clear(): void {
    this.bytes = 0
    for (const { skb } of this.#segments.splice(0)) skb.free()
  }

  #put(at: number, start: number, skb: AnySkb, isNext: boolean): boolean {
    const bytes = skb.payloadLength
    if (!isNext && !this.hasRoom(bytes)) {
      this.dropped++
      this.dropped_bytes += bytes
      skb.free()
      return false
    }
    this.#segments.splice(at, 0, { skb, start })
    this.bytes += bytes
    return true
  }

  /** Returns the index of the first segment that ends behind `position`. A binary search, since senders choose the order. */
  #indexOf(position: number): number {
    let high = this.length
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
    const segment = this.#segments[at]
    return segment === undefined ? 0 : segment.start + segment.skb.payloadLength
  }
}
