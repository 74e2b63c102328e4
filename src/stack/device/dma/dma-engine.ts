/**
 * DMA engine of a device: reads, writes and hashes ranges of its regions. It lives in the device's
 * thread. Packets do not pass it, since the NIC writes them itself.
 */

import { createHash, type Hash } from 'node:crypto'
import { DeviceError } from '../../device-error.ts'
import type { DmaSpace } from './dma-space.ts'

export class DmaEngine {
  readonly #space: DmaSpace

  constructor(space: DmaSpace) {
    this.#space = space
  }

  /**
   * Writes `bytes` to a place.
   *
   * @throws NETMEM_DMA_FAULT unless all of them fit in the region.
   */
  write(region: number, offset: number, bytes: Uint8Array): void {
    this.view(region, offset, bytes.length).set(bytes)
  }

  /** Starts a SHA-256 over ranges that follow one after the other. */
  startHash(): RangeHash {
    return new RangeHash(this)
  }

  /**
   * @internal Returns a view of a range.
   *
   * @throws NETMEM_DMA_FAULT unless all of it is in its region.
   */
  view(region: number, offset: number, bytes: number): Uint8Array {
    const memory = this.#space.memory(region)
    if (memory === undefined) {
      throw new DeviceError(
        'NETMEM_DMA_FAULT',
        'EFAULT',
        `The device has no region ${region}; it was unmapped, or never mapped.`,
      )
    }
    if (
      Number.isInteger(offset) &&
      Number.isInteger(bytes) &&
      offset >= 0 &&
      bytes >= 0 &&
      bytes <= memory.length - offset
    ) {
      return memory.subarray(offset, offset + bytes)
    }
    throw new DeviceError(
      'NETMEM_DMA_FAULT',
      'EFAULT',
      `${bytes} bytes at offset ${offset} are not in region ${region}, which has ${memory.length}. Stay within the region.`,
    )
  }
}

/** SHA-256 over ranges of a device's memory, with bytes of the host between them. */
export class RangeHash {
  readonly #engine: DmaEngine
  readonly #hash: Hash = createHash('sha256')

  /** @internal */
  constructor(engine: DmaEngine) {
    this.#engine = engine
  }

  /**
   * Adds a range as it is now.
   *
   * @throws NETMEM_DMA_FAULT, with nothing added.
   */
  update(region: number, offset: number, bytes: number): void {
    this.#hash.update(this.#engine.view(region, offset, bytes))
  }

  updateBytes(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  /** Returns the hash in hexadecimal. Nothing may be added afterwards. */
  digest(): string {
    return this.#hash.digest('hex')
  }
}
