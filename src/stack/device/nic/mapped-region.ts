/**
 * The region that was used last, since the next buffer mostly lies in the same one. To be forgotten
 * whenever the control plane may have unmapped something, which it does between batches.
 */

import type { DmaSpace } from '../dma/dma-space.ts'

export class MappedRegion {
  readonly #dma: DmaSpace
  #region = -1
  #memory: Uint8Array | undefined

  constructor(dma: DmaSpace) {
    this.#dma = dma
  }

  /** The memory that holds `bytes` bytes at `offset` of a region; `undefined` where the device has no such memory. */
  memory(region: number, offset: number, bytes: number): Uint8Array | undefined {
    if (region !== this.#region || this.#memory === undefined) this.#find(region)
    const memory = this.#memory
    // So that NaN is refused too.
    const inside = offset >= 0 && bytes >= 0 && offset + bytes <= (memory?.length ?? 0)
    return inside ? memory : undefined
  }

  forget(): void {
    this.#memory = undefined
  }

  #find(region: number): void {
    this.#region = region
    this.#memory = undefined
    try {
      this.#memory = this.#dma.memory(region)
    } catch {
      // Not mapped. Hardware has nobody to throw to: whoever asked counts a fault.
    }
  }
}
