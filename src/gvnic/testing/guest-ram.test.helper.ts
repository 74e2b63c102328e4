/** Plain memory in the place of a guest's, at guest addresses, for the driver model. */

import type { GuestMemory } from '../../vfio-user/index.ts'

/** Options of a {@link GuestRam}. */
export interface GuestRamOptions {
  /** Guest address of the first byte. 6 GiB by default: the low word has its highest bit, as a sign. */
  readonly base?: number
  /** Bytes of each region. 16 MiB by default. */
  readonly regionBytes?: number
  /** Number of regions, one behind the other. 1 by default. */
  readonly regions?: number
  /** Memory of the one region, such as that of a machine. Plain memory by default. */
  readonly memory?: Uint8Array<ArrayBuffer>
}

const PAGE_BYTES = 4096

export class GuestRam implements GuestMemory {
  readonly base: number
  readonly regions: readonly Uint8Array<ArrayBuffer>[]
  readonly views: readonly DataView<ArrayBuffer>[]
  region = -1
  offset = 0
  changes = 0
  /** Bytes of all regions. */
  readonly bytes: number
  readonly #regionBytes: number
  #allocated = 0

  constructor(options: GuestRamOptions = {}) {
    const { base = 6 * 2 ** 30, regionBytes = 2 ** 24, regions = 1, memory } = options
    this.base = base
    this.#regionBytes = memory?.length ?? regionBytes
    this.regions =
      memory === undefined
        ? Array.from({ length: regions }, () => new Uint8Array(regionBytes))
        : [memory]
    this.bytes = this.regions.length * this.#regionBytes
    this.views = this.regions.map(({ buffer, byteOffset }) => new DataView(buffer, byteOffset))
  }

  /** Returns the address of fresh pages. */
  allocate(bytes: number): number {
    const address = this.base + this.#allocated
    this.#allocated += Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
    if (this.#allocated > this.bytes) throw new Error('The guest is out of memory.')
    return address
  }

  locateWords(high: number, low: number, bytes: number, write: boolean): number {
    return this.locate((high >>> 0) * 2 ** 32 + (low >>> 0), bytes, write)
  }

  locate(address: number, bytes: number, _write: boolean): number {
    const at = address - this.base
    // Written so that NaN is outside.
    if (!(at >= 0 && at < this.bytes)) return 0
    // No remainder: the engine takes as long for one as for the copy of 500 bytes.
    const region = at < this.#regionBytes ? 0 : Math.floor(at / this.#regionBytes)
    const offset = (at - region * this.#regionBytes) | 0
    this.region = region
    this.offset = offset
    const room = this.#regionBytes - offset
    return bytes < room ? bytes : room
  }

  read(address: number, target: Uint8Array): boolean {
    return this.#pieces(address, target.length, (memory, at) => {
      target.set(memory, at)
    })
  }

  write(address: number, source: Uint8Array): boolean {
    return this.#pieces(address, source.length, (memory, at) => {
      memory.set(source.subarray(at, at + memory.length))
    })
  }

  /** Returns a view of memory that lies in one region. */
  view(address: number, bytes: number): DataView<ArrayBuffer> {
    const memory = this.memory(address, bytes)
    return new DataView(memory.buffer, memory.byteOffset, memory.length)
  }

  /**
   * Returns the view of the region that has `bytes` bytes at an address, from {@link offset} on. For
   * entries of rings: a view of each would be garbage, and that evicts what the card has in its caches.
   */
  viewAround(address: number, bytes: number): DataView<ArrayBuffer> {
    const found = this.locate(address, bytes, true)
    const view = this.views[this.region]
    if (found < bytes || view === undefined) throw new Error(`No ${bytes} bytes at ${address}.`)
    return view
  }

  /** Returns memory that lies in one region. */
  memory(address: number, bytes: number): Uint8Array<ArrayBuffer> {
    const found = this.locate(address, bytes, true)
    const memory = this.regions[this.region]
    if (found < bytes || memory === undefined) throw new Error(`No ${bytes} bytes at ${address}.`)
    return memory.subarray(this.offset, this.offset + bytes)
  }

  #pieces(
    address: number,
    bytes: number,
    each: (memory: Uint8Array<ArrayBuffer>, at: number) => void,
  ): boolean {
    for (let at = 0; at < bytes; ) {
      const found = this.locate(address + at, bytes - at, true)
      const memory = this.regions[this.region]
      if (found === 0 || memory === undefined) return false
      each(memory.subarray(this.offset, this.offset + found), at)
      at += found
    }
    return true
  }
}
