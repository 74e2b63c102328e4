/**
 * Memory of a device, in the place of a GPU's. Parts of it are exported as dma-bufs. It belongs to
 * the device's thread and never leaves it.
 */

import { checkInteger } from '../../../errors.ts'
import { alignedBuffer } from '../../../providers/aligned-memory.ts'
import { markUntransferable } from '../../../providers/untransferable.ts'
import { DeviceError } from '../../device-error.ts'
import type { ExportOptions } from '../../rings/control.ts'
import type { DmaSpace } from '../dma-space.ts'
import { ExportedDmaBuf } from './exported-dma-buf.ts'

/** DMA addresses have offsets of 31 bits. */
const MAX_BYTES = 2 ** 31
const MAX_SEGMENTS = 2 ** 16

/** Bytes of a memory, from `offset` on. */
interface MemoryRange {
  readonly offset: number
  readonly bytes: number
}

export class MemoryBank {
  readonly #space: DmaSpace
  readonly #memory: Uint8Array
  readonly #dmaBufs = new Set<ExportedDmaBuf>()
  /** Free ranges by ascending offset. No two of them touch. */
  #free: readonly MemoryRange[]

  /**
   * @param bytes 1 to 2^31.
   * @throws NETMEM_OUT_OF_RANGE, also when the process cannot allocate that much.
   */
  constructor(space: DmaSpace, bytes: number) {
    checkInteger('bytes of device memory', bytes, 1, MAX_BYTES)
    this.#space = space
    this.#memory = allocate(bytes)
    this.#free = [{ offset: 0, bytes }]
  }

  /**
   * Exports a part of the memory under the number `id`.
   *
   * @throws NETMEM_DMABUF_INVALID unless the segments add up to `bytes` and fit in free memory.
   * @throws NETMEM_OUT_OF_RANGE
   */
  exportDmaBuf(id: number, { bytes, segments = [bytes] }: ExportOptions): ExportedDmaBuf {
    checkInteger('bytes of the dma-buf', bytes, 1, this.#memory.length)
    checkInteger('segments of the dma-buf', segments.length, 1, MAX_SEGMENTS)
    let together = 0
    for (const length of segments) {
      together += checkInteger('bytes of a segment', length, 1, this.#memory.length)
    }
    if (together !== bytes) {
      throw new DeviceError(
        'NETMEM_DMABUF_INVALID',
        'EINVAL',
        `The segments have ${together} bytes together, the dma-buf has ${bytes}. They must be the same.`,
      )
    }
    const before = this.#free
    const places: MemoryRange[] = []
    for (const [at, length] of segments.entries()) {
      const place = this.#take(length, at % 2 === 0)
      if (place === undefined) {
        this.#free = before
        throw new DeviceError(
          'NETMEM_DEVICE_MEMORY',
          'ENOMEM',
          `No ${length} bytes in one piece are free for segment ${at}. Close a dma-buf, export less, or in smaller segments.`,
        )
      }
      places.push(place)
    }
    const memories = places.map((place) =>
      this.#memory.subarray(place.offset, place.offset + place.bytes),
    )
    const dmaBuf = new ExportedDmaBuf(this.#space, id, memories, () => {
      if (this.#dmaBufs.delete(dmaBuf)) this.#free = merge([...this.#free, ...places])
    })
    this.#dmaBufs.add(dmaBuf)
    return dmaBuf
  }

  /**
   * Closes all of its dma-bufs. Returns them.
   *
   * @throws NETMEM_DMABUF_BUSY, with none closed, while one of them is attached.
   */
  free(): readonly ExportedDmaBuf[] {
    const dmaBufs = [...this.#dmaBufs]
    for (const dmaBuf of dmaBufs) dmaBuf.checkUnused()
    for (const dmaBuf of dmaBufs) dmaBuf.close()
    return dmaBufs
  }

  /**
   * Takes free bytes from the lowest or the highest range with room. Alternating the two scatters
   * the segments of a dma-buf.
   */
  #take(bytes: number, lowest: boolean): MemoryRange | undefined {
    const fits = (range: MemoryRange): boolean => range.bytes >= bytes
    const at = lowest ? this.#free.findIndex(fits) : this.#free.findLastIndex(fits)
    const range = this.#free[at]
    if (range === undefined) return undefined
    const rest = range.bytes - bytes
    const left = { offset: lowest ? range.offset + bytes : range.offset, bytes: rest }
    this.#free = this.#free.toSpliced(at, 1, ...(rest > 0 ? [left] : []))
    return { offset: lowest ? range.offset : range.offset + rest, bytes }
  }
}

/** Merges ranges that touch. Returns them by ascending offset. */
function merge(ranges: readonly MemoryRange[]): MemoryRange[] {
  const merged: MemoryRange[] = []
  for (const range of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const last = merged.at(-1)
    if (last !== undefined && last.offset + last.bytes === range.offset) {
      merged[merged.length - 1] = { offset: last.offset, bytes: last.bytes + range.bytes }
    } else {
      merged.push(range)
    }
  }
  return merged
}

/** Allocates aligned memory, which copies are fast to. The bytes beyond `bytes` are not used. */
function allocate(bytes: number): Uint8Array {
  try {
    const buffer = alignedBuffer(bytes)
    markUntransferable(buffer)
    return new Uint8Array(buffer, 0, bytes)
  } catch {
    throw new DeviceError(
      'NETMEM_DEVICE_MEMORY',
      'ENOMEM',
      `${bytes} bytes of device memory are more than this process can have in one piece. Take less.`,
    )
  }
}
