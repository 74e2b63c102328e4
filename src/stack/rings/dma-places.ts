/**
 * Places in the device's memory, in columns: pieces of a packet to send, or buffers for one that arrives.
 * A packet of 60 KiB has many, and a call and an object for each would take longer than the rest.
 */

/** Places that there is room for at first: most packets have fewer. */
const FIRST_PLACES = 64

/** Places by DMA address. One object is used again and again, and its columns never shrink. */
export class DmaPlaces {
  /** Number of places. */
  count = 0
  /** Region of the device's address space, by place. −1 for one that is not mapped. */
  regions: Int32Array = new Int32Array(FIRST_PLACES)
  /** Bytes from the start of the region, by place. */
  offsets: Int32Array = new Int32Array(FIRST_PLACES)
  /** Length in bytes, by place. */
  lengths: Int32Array = new Int32Array(FIRST_PLACES)

  /** Makes room for `count` places. Those that there are stay. */
  reserve(count: number): void {
    if (count <= this.lengths.length) return
    const places = Math.max(count, 2 * this.lengths.length)
    this.regions = longer(this.regions, places)
    this.offsets = longer(this.offsets, places)
    this.lengths = longer(this.lengths, places)
  }

  /** Adds a place behind the others. */
  add(region: number, offset: number, bytes: number): void {
    const at = this.count
    this.reserve(at + 1)
    this.count = at + 1
    this.regions[at] = region
    this.offsets[at] = offset
    this.lengths[at] = bytes
  }
}

/** Returns a longer copy of a column. */
export function longer(column: Int32Array, places: number): Int32Array {
  const copy = new Int32Array(places)
  copy.set(column)
  return copy
}
