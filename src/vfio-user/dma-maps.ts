/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The guest's memory as QEMU maps it. Each GiB of its address space that has memory is one region. A
 * region is a window into which the files are mapped at their addresses. So adjacent maps are one piece.
 * The firmware may map and unmap parts while views stay valid.
 */

import type { Fd, MemoryWindow } from '../linux/sys/index.ts'
import { openMemoryWindow } from '../linux/sys/index.ts'
import type { GuestMemory } from './pci-device.ts'
import { MAX_DMA_MAPS } from './version.ts'

/** Bytes of a region. Offsets are small integers for the engine. */
export const REGION_BYTES: number = 2 ** 30
/** Most regions, each of which takes 10 GiB of this process's addresses. */
const MAX_REGIONS = 4096
const PAGE_BYTES = 4096
/** High word of the last address that a number holds exactly. */
const MAX_HIGH_WORD = 2 ** 21 - 1

/** A range of the guest's memory, as QEMU named it. */
interface GuestRange {
  readonly address: number
  readonly end: number
  readonly writable: boolean
  /** False for memory that QEMU keeps to itself, such as a ROM. */
  readonly visible: boolean
}

/** A GiB of the guest's addresses. Its pieces are sorted, and do not touch where rights are the same. */
interface Region {
  readonly index: number
  readonly window: MemoryWindow
  starts: number[]
  ends: number[]
  writable: boolean[]
}

/** Result of a change of the maps. */
export type DmaResult = 'done' | 'invalid' | 'exists' | 'none' | 'too many'

/** The guest's memory of one connection. */
export class DmaMaps implements GuestMemory, Disposable {
  readonly regions: Uint8Array<ArrayBuffer>[] = []
  readonly views: DataView<ArrayBuffer>[] = []
  region = 0
  offset = 0
  changes = 0
  /** Sorted by address. */
  #maps: GuestRange[] = []
  readonly #byKey = new Map<number, Region>()
  #lastKey = -1
  #last: Region | undefined

  locate(address: number, bytes: number, write: boolean): number {
    const key = Math.floor(address / REGION_BYTES)
    // A small integer for the engine, as the bytes of a region are.
    return this.#locateIn(key, (address - key * REGION_BYTES) | 0, bytes, write)
  }

  locateWords(high: number, low: number, bytes: number, write: boolean): number {
    // No map lies there, and the number of the region stays a small integer.
    if ((high & ~MAX_HIGH_WORD) !== 0) return 0
    return this.#locateIn((high << 2) | (low >>> 30), low & (REGION_BYTES - 1), bytes, write)
  }

  #locateIn(key: number, offset: number, bytes: number, write: boolean): number {
    // Rings and buffers of a guest are mostly in one region.
    const found = key === this.#lastKey ? this.#last : this.#find(key)
    if (found === undefined) return 0
    const { starts, ends } = found
    for (let piece = 0; piece < ends.length; piece++) {
      const end = ends[piece] ?? 0
      if (offset >= end) continue
      if (offset < (starts[piece] ?? 0) || (write && found.writable[piece] !== true)) return 0
      this.region = found.index
      this.offset = offset
      return bytes < end - offset ? bytes : end - offset
    }
    return 0
  }

  read(address: number, target: Uint8Array): boolean {
    return this.#copy(address, target, false)
  }

  write(address: number, source: Uint8Array): boolean {
    return this.#copy(address, source, true)
  }

  /**
   * Maps a file, or notes a range whose memory QEMU keeps to itself.
   *
   * @throws NETMEM_OUT_OF_RANGE if the file is shorter, NETMEM_SYSCALL_FAILED if it cannot be mapped.
   *   Nothing is mapped then.
   */
  map(
    fd: Fd | undefined,
    address: number,
    bytes: number,
    offset: number,
    writable: boolean,
  ): DmaResult {
    const end = address + bytes
    if (bytes === 0 || !isRange(address, bytes) || !isRange(offset, bytes)) return 'invalid'
    if (this.#maps.some((map) => map.address < end && address < map.end)) return 'exists'
    if (this.#maps.length >= MAX_DMA_MAPS) return 'too many'
    if (fd !== undefined) {
      const pieces = piecesOf(address, end)
      if (this.#byKey.size + pieces.length > MAX_REGIONS) return 'too many'
      let shown = 0
      try {
        for (const { key, at, length } of pieces) {
          this.#open(key).window.show(at, fd, offset + shown, length, writable)
          shown += length
        }
      } catch (error) {
        // A map that failed may have left a hole, so all of the range is hidden again.
        for (const { key, at, length } of pieces) this.#byKey.get(key)?.window.hide(at, length)
        throw error
      }
    }
    this.#maps.push({ address, end, writable, visible: fd !== undefined })
    this.#maps.sort((one, other) => one.address - other.address)
    this.#lay(address, end)
    return 'done'
  }

  /** Unmaps the maps that lie in a range. None may lie across its border. */
  unmap(address: number, bytes: number): DmaResult {
    const end = address + bytes
    if (!isRange(address, bytes)) return 'invalid'
    const touched = this.#maps.filter((map) => map.address < end && address < map.end)
    if (touched.length === 0) return 'none'
    if (touched.some((map) => map.address < address || map.end > end)) return 'invalid'
    this.#maps = this.#maps.filter((map) => !touched.includes(map))
    for (const map of touched) if (map.visible) this.#hide(map)
    this.#lay(address, end)
    return 'done'
  }

  unmapAll(): void {
    const maps = this.#maps
    this.#maps = []
    for (const map of maps) {
      if (!map.visible) continue
      this.#hide(map)
      this.#lay(map.address, map.end)
    }
  }

  [Symbol.dispose](): void {
    this.unmapAll()
  }

  #hide({ address, end }: GuestRange): void {
    for (const { key, at, length } of piecesOf(address, end)) {
      this.#byKey.get(key)?.window.hide(at, length)
    }
  }

  #find(key: number): Region | undefined {
    const found = this.#byKey.get(key)
    if (found === undefined) return undefined
    this.#lastKey = key
    this.#last = found
    return found
  }

  /** Returns the region of a GiB, and makes it if there is none. */
  #open(key: number): Region {
    const present = this.#byKey.get(key)
    if (present !== undefined) return present
    const window = openMemoryWindow(REGION_BYTES)
    const index = this.regions.push(window.bytes) - 1
    this.views.push(new DataView(window.bytes.buffer, window.bytes.byteOffset, REGION_BYTES))
    const region = { index, window, starts: [], ends: [], writable: [] }
    this.#byKey.set(key, region)
    return region
  }

  /** Makes the pieces of the regions of a range anew. */
  #lay(address: number, end: number): void {
    this.changes++
    for (const { key } of piecesOf(address, end)) {
      const region = this.#byKey.get(key)
      if (region === undefined) continue
      region.starts = []
      region.ends = []
      region.writable = []
      const base = key * REGION_BYTES
      for (const map of this.#maps) {
        if (!map.visible || map.end <= base || map.address >= base + REGION_BYTES) continue
        const start = Math.max(map.address - base, 0)
        const last = region.ends.length - 1
        if (region.ends[last] === start && region.writable[last] === map.writable) {
          region.ends[last] = Math.min(map.end - base, REGION_BYTES)
          continue
        }
        region.starts.push(start)
        region.ends.push(Math.min(map.end - base, REGION_BYTES))
        region.writable.push(map.writable)
      }
    }
  }

  #copy(address: number, bytes: Uint8Array, write: boolean): boolean {
    let done = 0
    while (done < bytes.length) {
      const piece = this.locate(address + done, bytes.length - done, write)
      const memory = this.regions[this.region]
      if (piece === 0 || memory === undefined) return false
      const { offset } = this
      if (write) memory.set(bytes.subarray(done, done + piece), offset)
      else bytes.set(memory.subarray(offset, offset + piece), done)
      done += piece
    }
    return true
  }
}

/** A part of a range that lies in one region. */
interface RegionPart {
  readonly key: number
  readonly at: number
  readonly length: number
}

/** Cuts a range at the borders of regions. */
function piecesOf(address: number, end: number): RegionPart[] {
  const pieces: RegionPart[] = []
  for (let start = address; start < end; ) {
    const key = Math.floor(start / REGION_BYTES)
    const stop = Math.min(end, (key + 1) * REGION_BYTES)
    pieces.push({ key, at: start - key * REGION_BYTES, length: stop - start })
    start = stop
  }
  return pieces
}

/** True of whole pages whose addresses are exact numbers. */
function isRange(address: number, bytes: number): boolean {
  return (
    address % PAGE_BYTES === 0 &&
    bytes % PAGE_BYTES === 0 &&
    address + bytes <= Number.MAX_SAFE_INTEGER &&
    bytes <= MAX_REGIONS * REGION_BYTES
  )
}
