/** Address space of a device: the memory of each region. It lives in the device's thread. */

import { DeviceError } from '../../device-error.ts'

export class DmaSpace {
  readonly #regions: (Uint8Array | undefined)[] = []

  /** Maps memory for the device and returns its region. Numbers of regions are not used again. */
  map(memory: Uint8Array): number {
    return this.#regions.push(memory) - 1
  }

  unmap(region: number): void {
    this.#regions[region] = undefined
  }

  /**
   * Returns the memory of a region.
   *
   * @throws NETMEM_DMA_FAULT unless it is mapped.
   */
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
