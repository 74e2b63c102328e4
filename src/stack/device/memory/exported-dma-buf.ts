/**
 * A dma-buf inside its device: a part of the device's memory that NICs may be given, piece by
 * piece.
 */

import type { DmaSegment } from '../../../providers/dma-address.ts'
import { DeviceError } from '../../device-error.ts'
import type { DmaSpace } from '../dma/dma-space.ts'

/** Bytes of a memory, from `offset` on. */
export interface MemoryRange {
  readonly offset: number
  readonly bytes: number
}

/** Made by `MemoryBank.exportDmaBuf`. */
export class ExportedDmaBuf {
  readonly id: number
  readonly bytes: number
  readonly #space: DmaSpace
  readonly #region: number
  readonly #memory: Uint8Array
  readonly #places: readonly MemoryRange[]
  /** Offset in the dma-buf of each place. */
  readonly #starts: Float64Array
  readonly #giveBack: () => void
  #attachments = 0
  #closed = false

  /** @internal `places` of `memory`, which is all of the region `region`. */
  constructor(
    space: DmaSpace,
    id: number,
    region: number,
    memory: Uint8Array,
    places: readonly MemoryRange[],
    giveBack: () => void,
  ) {
    this.id = id
    this.#space = space
    this.#region = region
    this.#memory = memory
    this.#places = places
    this.#giveBack = giveBack
    this.#starts = new Float64Array(places.length)
    let start = 0
    for (const [at, { bytes }] of places.entries()) {
      this.#starts[at] = start
      start += bytes
    }
    this.bytes = start
  }

  /**
   * Maps the dma-buf for a device. Each segment becomes a separate region, as an IOMMU maps it. The
   * device reaches no byte outside of the segments, and no byte at all after the detach.
   */
  attach(): MappedDmaBuf {
    this.#attachments++
    const segments = this.#places.map(({ offset, bytes }) => ({
      address: {
        region: this.#space.map(this.#memory.subarray(offset, offset + bytes)),
        offset: 0,
      },
      bytes,
    }))
    return new MappedDmaBuf(segments, () => {
      for (const { address } of segments) this.#space.unmap(address.region)
      this.#attachments--
    })
  }

  /**
   * Calls `visit` for each contiguous piece of a range, by the device's own addresses.
   *
   * @throws NETMEM_DMA_FAULT, before the first call, unless all of the range is in the dma-buf.
   */
  eachPiece(
    offset: number,
    bytes: number,
    visit: (region: number, offset: number, bytes: number) => void,
  ): void {
    this.checkRange(offset, bytes)
    const end = offset + bytes
    let at = offset
    for (let index = this.#placeOf(offset); at < end; index++) {
      const place = this.#places[index]
      if (place === undefined) return
      const within = at - (this.#starts[index] ?? 0)
      const piece = Math.min(place.bytes - within, end - at)
      visit(this.#region, place.offset + within, piece)
      at += piece
    }
  }

  /** @throws NETMEM_DMA_FAULT unless a range is in the dma-buf. */
  checkRange(offset: number, bytes: number): void {
    if (
      Number.isInteger(offset) &&
      Number.isInteger(bytes) &&
      offset >= 0 &&
      bytes >= 0 &&
      bytes <= this.bytes - offset
    ) {
      return
    }
    throw new DeviceError(
      'NETMEM_DMA_FAULT',
      'EFAULT',
      `${bytes} bytes at offset ${offset} are not in dma-buf ${this.id}, which has ${this.bytes}. Stay within it.`,
    )
  }

  /**
   * Returns its memory to the device. A second call has no effect.
   *
   * @throws NETMEM_DMABUF_BUSY while it is attached.
   */
  close(): void {
    if (this.#closed) return
    this.checkUnused()
    this.#closed = true
    this.#giveBack()
  }

  /** @throws NETMEM_DMABUF_BUSY while it is attached. */
  checkUnused(): void {
    if (this.#attachments === 0) return
    throw new DeviceError(
      'NETMEM_DMABUF_BUSY',
      'EBUSY',
      `dma-buf ${this.id} is attached ${this.#attachments} times. Unbind it, or detach it, first.`,
    )
  }

  /** Returns the index of the place with the byte at `offset`. */
  #placeOf(offset: number): number {
    let low = 0
    let high = this.#places.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** A dma-buf as one device has mapped it. */
export class MappedDmaBuf {
  /** The scatter list, in the dma-buf's order. */
  readonly segments: readonly DmaSegment[]
  #unmap: (() => void) | undefined

  /** @internal */
  constructor(segments: readonly DmaSegment[], unmap: () => void) {
    this.segments = segments
    this.#unmap = unmap
  }

  /** Unmaps it. A second call has no effect. */
  detach(): void {
    this.#unmap?.()
    this.#unmap = undefined
  }
}
