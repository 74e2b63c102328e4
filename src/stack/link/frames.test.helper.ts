/** Frames for tests of links. */

import { makeFrameMemory } from '../wire/frame-memory.ts'
import type { Link, LinkFrame } from './link.ts'

/** A frame of `length` bytes that carries its number, in memory of its own. */
export function numbered(number: number, length = 64): LinkFrame {
  const memory = makeFrameMemory(Math.max(length, 4))
  memory.bytes.fill(number & 0xff)
  new DataView(memory.bytes.buffer, memory.bytes.byteOffset).setUint32(0, number)
  return { memory, offset: 0, length, originalLength: length, timeNs: 0, checksum: 'complete' }
}

/** A frame of these bytes, in memory of its own, not at its beginning. */
export function frameOf(bytes: Uint8Array, timeNs = 0): LinkFrame {
  const memory = makeFrameMemory(bytes.length + 7)
  memory.bytes.set(bytes, 7)
  const { length } = bytes
  return { memory, offset: 7, length, originalLength: length, timeNs, checksum: 'complete' }
}

/** A frame's bytes, copied. */
export function bytesOf(frame: LinkFrame): Uint8Array {
  return frame.memory.bytes.slice(frame.offset, frame.offset + frame.length)
}

/** The number a frame of {@link numbered} carries. */
export function numberOf(frame: LinkFrame): number {
  const { bytes } = frame.memory
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(frame.offset)
}

/** The numbers of all frames that have arrived by `nowNs`. */
export function numbersBy(link: Link, nowNs: number): number[] {
  const numbers: number[] = []
  for (let frame = link.receive(nowNs); frame !== undefined; frame = link.receive(nowNs)) {
    numbers.push(numberOf(frame))
  }
  return numbers
}
