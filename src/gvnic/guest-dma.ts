/**
 * Memory of the guest as the card uses it: 64-bit addresses in, regions of the NIC's address space out.
 * A miss is a value, since the addresses are the guest's.
 */

import { DmaSpace } from '../stack/device/dma/dma-space.ts'
import type { GuestMemory } from '../vfio-user/index.ts'

const HIGH_WORD = 2 ** 32

export class GuestDma {
  /** Address space of the NIC, with the regions of the guest. */
  readonly space: DmaSpace = new DmaSpace()
  /** Region of {@link space} that {@link locate} found. −1 after a miss. */
  region = -1
  /** Offset in the region that {@link locate} found. */
  offset = 0
  #memory: GuestMemory | undefined
  /** Regions of {@link space}, by the guest's regions. */
  #regions: number[] = []

  attach(memory: GuestMemory): void {
    this.detach()
    this.#memory = memory
  }

  /** Unmaps the guest's memory. */
  detach(): void {
    for (const region of this.#regions) this.space.unmap(region)
    this.#regions = []
    this.#memory = undefined
    this.region = -1
  }

  /**
   * Looks an address up. Returns how many of `bytes` lie there in one piece, 0 for a miss, and leaves
   * the place in {@link region} and {@link offset}.
   *
   * @param write true for memory that the card is to write.
   */
  locate(address: number, bytes: number, write: boolean): number {
    const memory = this.#memory
    if (memory === undefined) return 0
    return this.#found(memory, memory.locate(address, bytes, write))
  }

  /** Looks an address up as {@link locate} does, in two words, which make no garbage. */
  locateWords(high: number, low: number, bytes: number, write: boolean): number {
    const memory = this.#memory
    if (memory === undefined) return 0
    return this.#found(memory, memory.locateWords(high, low, bytes, write))
  }

  #found(memory: GuestMemory, bytes: number): number {
    if (bytes === 0) {
      this.region = -1
      return 0
    }
    this.region = this.#regions[memory.region] ?? this.#mapUpTo(memory, memory.region)
    this.offset = memory.offset
    return bytes
  }

  /** Returns the little-endian words of a ring. `undefined` unless all are in one piece, and aligned. */
  words(address: number, bytes: number): Uint32Array | undefined {
    if (address % 4 !== 0 || this.locate(address, bytes, true) < bytes) return undefined
    const memory = this.space.memory(this.region)
    if (memory === undefined) return undefined
    return new Uint32Array(memory.buffer, memory.byteOffset + this.offset, bytes / 4)
  }

  /** Returns a copy, which the guest cannot change. `undefined` unless the guest has all of it. */
  read(address: number, bytes: number): Uint8Array<ArrayBuffer> | undefined {
    const copy = new Uint8Array(bytes)
    return this.#memory?.read(address, copy) === true ? copy : undefined
  }

  /** Returns false, and may have written a part, unless the guest has all of it. */
  write(address: number, source: Uint8Array): boolean {
    return this.#memory?.write(address, source) === true
  }

  /** Returns true if the guest has all of it, and the card may write it. */
  isWritable(address: number, bytes: number): boolean {
    let left = bytes
    while (left > 0) {
      const found = this.locate(address + bytes - left, left, true)
      if (found === 0) return false
      left -= found
    }
    return true
  }

  #mapUpTo({ regions }: GuestMemory, last: number): number {
    for (let region = this.#regions.length; region <= last; region++) {
      const memory = regions[region]
      if (memory === undefined) return -1
      this.#regions.push(this.space.map(memory))
    }
    return this.#regions[last] ?? -1
  }
}

/** Makes an address of its two words, signed or not. One of 2^53 or more is rounded, and is in no map. */
export function guestAddressOf(high: number, low: number): number {
  return (high >>> 0) * HIGH_WORD + (low >>> 0)
}

/** Reads a big-endian address of a command. */
export function addressAt(view: DataView, at: number): number {
  return guestAddressOf(view.getUint32(at), view.getUint32(at + 4))
}
