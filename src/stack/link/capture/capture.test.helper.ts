/** Capture files for tests, made in memory and read from there. */

import { createFrameMemory, type FrameMemory } from '../../../wire/frame-memory.ts'
import type { LinkFrame } from '../link.ts'
import { CaptureLink } from './capture-link.ts'
import type { CaptureSource } from './capture-window.ts'

/** A file of these bytes. At most `readBytes` are given at once. */
export function sourceOf(bytes: Uint8Array, readBytes: number = Number.POSITIVE_INFINITY): Source {
  return new Source(bytes, readBytes)
}

class Source implements CaptureSource {
  closed = 0
  readonly #bytes: Uint8Array
  readonly #readBytes: number
  #at = 0

  constructor(bytes: Uint8Array, readBytes: number) {
    this.#bytes = bytes
    this.#readBytes = readBytes
  }

  read(into: Uint8Array, offset: number, length: number): number {
    const bytes = Math.min(length, this.#readBytes, this.#bytes.length - this.#at)
    into.set(this.#bytes.subarray(this.#at, this.#at + bytes), offset)
    this.#at += bytes
    return bytes
  }

  close(): void {
    this.closed++
  }
}

/** Memory that all tests of a file take turns with: what another left there must not show. */
const memories = new Map<number, FrameMemory>()

export function memoryOf(bytes: number): FrameMemory {
  const memory = memories.get(bytes) ?? createFrameMemory(bytes)
  memories.set(bytes, memory)
  return memory
}

/** A capture of these bytes, read through a window of `windowBytes`. */
export function linkOf(
  bytes: Uint8Array,
  options: { windowBytes?: number; readBytes?: number; keepTiming?: boolean } = {},
): CaptureLink {
  const { windowBytes = 4096, readBytes = 1000, keepTiming = true } = options
  return new CaptureLink(sourceOf(bytes, readBytes), keepTiming, true, memoryOf(windowBytes))
}

export interface Seen {
  readonly bytes: Uint8Array
  readonly timeNs: number
  readonly originalLength: number
  readonly checksum: LinkFrame['checksum']
}

/** All frames of a capture, copied. Each must still be as it was after the next one's time has been asked for. */
export function seenOf(link: CaptureLink): Seen[] {
  const seen: Seen[] = []
  for (;;) {
    const frame = link.receive(Number.POSITIVE_INFINITY)
    if (frame === undefined) return seen
    const { offset, length, timeNs, originalLength, checksum } = frame
    const before = frame.memory.bytes.slice(offset, offset + length)
    link.nextAtNs()
    const bytes = frame.memory.bytes.slice(offset, offset + length)
    if (Buffer.compare(before, bytes) !== 0) throw new Error('overwritten while in hand')
    if (frame.offset !== offset || frame.length !== length) throw new Error('changed in hand')
    seen.push({ bytes, timeNs, originalLength, checksum })
  }
}

/** Builds pcapng files, block by block, in either byte order. */
export class PcapngBuilder {
  #little: boolean
  #parts: Uint8Array[] = []

  constructor(little = true) {
    this.#little = little
  }

  /** A block with this body. */
  block(type: number, body: Uint8Array): this {
    const padded = (body.length + 3) & ~3
    const block = new Uint8Array(12 + padded)
    const view = new DataView(block.buffer)
    view.setUint32(0, type, this.#little)
    view.setUint32(4, block.length, this.#little)
    block.set(body, 8)
    view.setUint32(block.length - 4, block.length, this.#little)
    return this.raw(block)
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    return this
  }

  section(little: boolean = this.#little, extra = 0): this {
    this.#little = little
    const body = new Uint8Array(16 + extra)
    const view = new DataView(body.buffer)
    view.setUint32(0, 0x1a2b3c4d, little)
    view.setUint16(4, 1, little)
    view.setBigInt64(8, -1n, little)
    return this.block(0x0a0d0d0a, body)
  }

  interface(
    options: { linkType?: number; snapBytes?: number; tsresol?: number; tsoffset?: bigint } = {},
  ): this {
    const { linkType = 1, snapBytes = 0, tsresol = -1, tsoffset } = options
    const body: number[] = [...this.#u16(linkType), 0, 0, ...this.#u32(snapBytes)]
    // A name first, which is of no interest.
    body.push(...this.#u16(2), ...this.#u16(3), 101, 116, 104, 0)
    if (tsresol >= 0) body.push(...this.#u16(9), ...this.#u16(1), tsresol, 0, 0, 0)
    if (tsoffset !== undefined) {
      const value = new DataView(new ArrayBuffer(8))
      value.setBigInt64(0, tsoffset, this.#little)
      body.push(...this.#u16(14), ...this.#u16(8), ...new Uint8Array(value.buffer))
    }
    body.push(0, 0, 0, 0)
    return this.block(1, Uint8Array.from(body))
  }

  /** An enhanced packet, or an obsolete one (`type` 2). A comment follows it unless that is ''. */
  packet(
    bytes: Uint8Array,
    ticks: bigint,
    options: { id?: number; originalLength?: number; type?: number; comment?: string } = {},
  ): this {
    const { id = 0, originalLength = bytes.length, type = 6, comment = '' } = options
    const padded = (bytes.length + 3) & ~3
    const option = comment === '' ? 0 : 8 + ((comment.length + 3) & ~3)
    const body = new Uint8Array(20 + padded + option)
    const view = new DataView(body.buffer)
    if (type === 2) view.setUint16(0, id, this.#little)
    else view.setUint32(0, id, this.#little)
    view.setUint32(4, Number(ticks >> 32n), this.#little)
    view.setUint32(8, Number(ticks & 0xffff_ffffn), this.#little)
    view.setUint32(12, bytes.length, this.#little)
    view.setUint32(16, originalLength, this.#little)
    body.set(bytes, 20)
    if (option > 0) {
      view.setUint16(20 + padded, 1, this.#little)
      view.setUint16(22 + padded, comment.length, this.#little)
      body.set(new TextEncoder().encode(comment), 24 + padded)
    }
    return this.block(type, body)
  }

  simple(bytes: Uint8Array, originalLength: number = bytes.length): this {
    const body = new Uint8Array(4 + bytes.length)
    new DataView(body.buffer).setUint32(0, originalLength, this.#little)
    body.set(bytes, 4)
    return this.block(3, body)
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts))
  }

  #u16(value: number): number[] {
    return this.#little ? [value & 255, value >> 8] : [value >> 8, value & 255]
  }

  #u32(value: number): number[] {
    const bytes = [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24]
    return this.#little ? bytes : bytes.reverse()
  }
}

/** Bytes that no other part of a file has. */
export function filler(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (seed * 37 + at * 11 + (at >> 8)) & 255)
}
