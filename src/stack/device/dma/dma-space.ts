/** A device's address space: which memory each region is. Lives in the device's thread. */

import { DeviceError } from '../../device-error.ts'

export class DmaSpace {
  readonly #regions: (Uint8Array | undefined)[] = []

  /** Maps memory for the device; returns its region. Regions are not used again. */
  map(memory: Uint8Array): number {
    return this.#regions.push(memory) - 1
  }

  unmap(region: number): void {
    this.#regions[region] = undefined
  }

  /** The memory of a region. Throws NETMEM_DMA_FAULT for one that is not mapped. */
  memory(region: number): Uint8Array {
    const memory = this.#regions[region]
    if (memory !== undefined) return memory
    throw new DeviceError(
      'NETMEM_DMA_FAULT',
      'EFAULT',
      `The device has no region ${region}; it was unmapped, or never mapped.`,
    )
  }
}
