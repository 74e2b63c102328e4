/**
 * Memory of the guest as the card uses it: 64-bit addresses in, regions of the NIC's address space out.
 * A miss is a value, since the addresses are the guest's.
 */

import { DmaSpace } from '../stack/device/dma-space.ts'
import type { GuestMemory } from '../vfio-user/index.ts'

const HIGH_WORD = 2 ** 32
/** Length above that of any piece of the guest's memory, so that a look-up tells where it ends. */
const WHOLE_PIECE = 2 ** 30

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

  /** Number of changes of the guest's maps so far. −1 without a guest. */
  get changes(): number {
    return this.#memory === undefined ? -1 : this.#memory.changes
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

/**
 * Piece of the guest's memory in which the addresses of a ring mostly lie. It is looked up once, and again
 * for an address outside of it or when the guest's maps have changed.
 */
export class GuestPiece {
  /** High word of the address of the piece's first byte, signed: a small integer for the engine. */
  high = 0
  /** Low word of the address of the piece's first byte, signed. */
  low = 0
  /** Bytes of the piece: 0 while it is not known. It ends at a multiple of 4 GiB at the latest. */
  bytes = 0
  /** Region of the NIC's address space that the piece lies in. */
  region = -1
  /** Offset of the piece's first byte in the region. */
  offset = 0
  readonly #guest: GuestDma
  readonly #write: boolean
  #changes = -1

  /** @param write true for memory that the card is to write. */
  constructor(guest: GuestDma, write: boolean) {
    this.#guest = guest
    this.#write = write
  }

  /** Forgets the piece if the guest's maps have changed: call it before {@link has}. */
  refresh(): void {
    if (this.#guest.changes !== this.#changes) this.bytes = 0
  }

  /**
   * True if all of `bytes` bytes at an address lie in one piece, which is known then. The address is
   * `(low - piece.low) | 0` bytes behind its first one.
   */
  has(high: number, low: number, bytes: number): boolean {
    const ahead = (low - this.low) | 0
    if (bytes > 0 && high === this.high && ahead >= 0 && ahead <= this.bytes - bytes) return true
    return bytes > 0 && this.find(high, low, bytes) === bytes
  }

  /**
   * Looks an address up as {@link GuestDma.locateWords} does. The piece begins there then, unless it is a
   * miss, which returns 0.
   */
  find(high: number, low: number, bytes: number): number {
    const guest = this.#guest
    const found = bytes === 0 ? 0 : guest.locateWords(high, low, WHOLE_PIECE, this.#write)
    if (found === 0) return 0
    this.high = high
    this.low = low
    this.region = guest.region
    this.offset = guest.offset
    this.bytes = Math.min(found, HIGH_WORD - (low >>> 0))
    this.#changes = guest.changes
    return bytes < found ? bytes : found
  }
}

/** Makes an address of its two words, signed or not. One of 2^53 or more is rounded, and is in no map. */
function guestAddressOf(high: number, low: number): number {
  return (high >>> 0) * HIGH_WORD + (low >>> 0)
}

/** Reads a big-endian address of a command. */
export function addressAt(view: DataView, at: number): number {
  return guestAddressOf(view.getUint32(at), view.getUint32(at + 4))
}
