/**
 * What a device does with memory besides receiving into it: copies, reads back and hashes ranges
 * of its regions. Lives in the device's thread. Not on the path of a packet: the NIC writes itself.
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
   * Copies `bytes` between two places, which may be in one region and overlap: host to device,
   * device to host, or within either. Throws NETMEM_DMA_FAULT, before anything is written, when
   * one of them is not in its region.
   */
  copy(
    fromRegion: number,
    fromOffset: number,
    toRegion: number,
    toOffset: number,
    bytes: number,
  ): void {
    const from = this.view(fromRegion, fromOffset, bytes)
    const to = this.view(toRegion, toOffset, bytes)
    to.set(from)
  }

  /** A copy of a range, in memory of its own. Throws NETMEM_DMA_FAULT. */
  read(region: number, offset: number, bytes: number): Uint8Array<ArrayBuffer> {
    const range = this.view(region, offset, bytes)
    const copy = new Uint8Array(bytes)
    copy.set(range)
    return copy
  }

  /** Writes `bytes` to a place. Throws NETMEM_DMA_FAULT. */
  write(region: number, offset: number, bytes: Uint8Array): void {
    this.view(region, offset, bytes.length).set(bytes)
  }

  /** Begins a SHA-256 over ranges that are named one after the other. */
  startHash(): RangeHash {
    return new RangeHash(this)
  }

  /** @internal A range where it lies. Throws NETMEM_DMA_FAULT unless all of it is in its region. */
  view(region: number, offset: number, bytes: number): Uint8Array {
    const memory = this.#space.memory(region)
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

/** SHA-256 over ranges of a device's memory, and bytes of the host between them. */
export class RangeHash {
  readonly #engine: DmaEngine
  readonly #hash: Hash = createHash('sha256')

  /** @internal */
  constructor(engine: DmaEngine) {
    this.#engine = engine
  }

  /** Goes on with a range as it is now. Throws NETMEM_DMA_FAULT, and has not gone on then. */
  update(region: number, offset: number, bytes: number): void {
    this.#hash.update(this.#engine.view(region, offset, bytes))
  }

  updateBytes(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  /** The hash of everything so far, in hexadecimal; nothing may follow. */
  digest(): string {
    return this.#hash.digest('hex')
  }
}
