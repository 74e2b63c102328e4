/**
 * The region that was used last: most buffers lie in the same one as the buffer before. The control
 * plane may unmap memory between batches, so each batch forgets it first.
 */

import type { DmaSpace } from '../dma-space.ts'

export class MappedRegion {
  readonly #dma: DmaSpace
  #region = -1
  #memory: Uint8Array | undefined

  constructor(dma: DmaSpace) {
    this.#dma = dma
  }

  /**
   * Returns the memory that holds `bytes` bytes at `offset` of a region. `undefined` if the device
   * has no such memory.
   */
  memory(region: number, offset: number, bytes: number): Uint8Array | undefined {
    let memory = this.#memory
    if (region !== this.#region || memory === undefined) {
      this.#region = region
      memory = this.#memory = this.#dma.memory(region)
    }
    // Written so that NaN is outside.
    const inside = offset >= 0 && bytes >= 0 && offset + bytes <= (memory?.length ?? 0)
    return inside ? memory : undefined
  }

  forget(): void {
    this.#memory = undefined
  }
}
