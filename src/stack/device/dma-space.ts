/** Address space of a device: the memory of each region. It lives in the device's thread. */

export class DmaSpace {
  readonly #regions: (Uint8Array | undefined)[] = []
  /** Number of regions unmapped so far. Code that keeps views of memory compares it. */
  unmapped = 0
  /** Numbers of regions that were unmapped. */
  readonly #free: number[] = []

  /**
   * Maps memory for the device and returns its region. Numbers of unmapped regions are used again,
   * the one that has been free for longest first.
   */
  map(memory: Uint8Array): number {
    const region = this.#free.length > MIN_FREE ? this.#free.shift() : undefined
    if (region === undefined) return this.#regions.push(memory) - 1
    this.#regions[region] = memory
    return region
  }

  /** Unmaps a region. Nothing happens unless it is mapped. */
  unmap(region: number): void {
    if (this.#regions[region] === undefined) return
    this.#regions[region] = undefined
    this.unmapped++
    this.#free.push(region)
  }

  /** Returns the memory of a region, or `undefined` unless it is mapped. Hardware does not throw. */
  memory(region: number): Uint8Array | undefined {
    return this.#regions[region]
  }

  /** Returns the memory of a region if it has `bytes` bytes at `offset`. */
  holding(region: number, offset: number, bytes: number): Uint8Array | undefined {
    const memory = this.#regions[region]
    if (memory === undefined) return undefined
    // The condition makes NaN lie outside.
    return offset >= 0 && bytes >= 0 && offset + bytes <= memory.length ? memory : undefined
  }
}

/** Regions that stay free: a driver that uses the number of an unmapped one is found out. */
const MIN_FREE = 64
