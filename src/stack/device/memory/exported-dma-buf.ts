/**
 * A dma-buf inside its device: a part of the device's memory that NICs may be given, piece by
 * piece.
 */

import type { DmaSegment } from '../../../providers/dma-address.ts'
import { DeviceError } from '../../device-error.ts'
import type { DmaSpace } from '../dma-space.ts'

/** A dma-buf as one device has mapped it. */
export interface MappedDmaBuf {
  /** The scatter list, in the dma-buf's order. */
  readonly segments: readonly DmaSegment[]
  /** Unmaps it. Call it once. */
  detach(): void
}

/** Made by `MemoryBank.exportDmaBuf`. */
export class ExportedDmaBuf {
  readonly id: number
  readonly bytes: number
  readonly #space: DmaSpace
  readonly #places: readonly Uint8Array[]
  /** Offset in the dma-buf of each place. */
  readonly #starts: Float64Array
  readonly #giveBack: () => void
  #attachments = 0

  /** @internal `places` are its segments, in order. */
  constructor(space: DmaSpace, id: number, places: readonly Uint8Array[], giveBack: () => void) {
    this.id = id
    this.#space = space
    this.#places = places
    this.#giveBack = giveBack
    this.#starts = new Float64Array(places.length)
    let start = 0
    for (const [at, { length }] of places.entries()) {
      this.#starts[at] = start
      start += length
    }
    this.bytes = start
  }

  /**
   * Maps the dma-buf for a device. Each segment becomes a separate region, as an IOMMU maps it. The
   * device reaches no byte outside of the segments, and no byte at all after the detach.
   */
  attach(): MappedDmaBuf {
    this.#attachments++
    const segments = this.#places.map((place) => ({
      address: { region: this.#space.map(place), offset: 0 },
      bytes: place.length,
    }))
    const detach = (): void => {
      for (const { address } of segments) this.#space.unmap(address.region)
      this.#attachments--
    }
    return { segments, detach }
  }

  /**
   * Returns views of the contiguous pieces of a range, in order.
   *
   * @throws NETMEM_DMA_FAULT unless all of the range is in the dma-buf.
   */
  pieces(offset: number, bytes: number): Uint8Array[] {
    const isInside = offset >= 0 && bytes >= 0 && bytes <= this.bytes - offset
    if (!isInside || !Number.isInteger(offset) || !Number.isInteger(bytes)) {
      throw new DeviceError(
        'NETMEM_DMA_FAULT',
        'EFAULT',
        `${bytes} bytes at offset ${offset} are not in dma-buf ${this.id}, which has ${this.bytes}. Stay within it.`,
      )
    }
    const pieces: Uint8Array[] = []
    const end = offset + bytes
    let at = offset
    for (let index = this.#placeOf(offset); at < end; index++) {
      const start = at - (this.#starts[index] ?? 0)
      const piece = this.#places[index]?.subarray(start, start + end - at)
      if (piece === undefined) break
      pieces.push(piece)
      at += piece.length
    }
    return pieces
  }

  /**
   * Returns its memory to the device. A second call has no effect.
   *
   * @throws NETMEM_DMABUF_BUSY while it is attached.
   */
  close(): void {
    this.checkUnused()
    this.#giveBack()
  }

  /** @throws NETMEM_DMABUF_BUSY while it is attached. */
  checkUnused(): void {
    if (this.#attachments === 0) return
    throw new DeviceError(
      'NETMEM_DMABUF_BUSY',
      'EBUSY',
      `dma-buf ${this.id} is attached ${this.#attachments} times. Close its bindings, or detach it, first.`,
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
