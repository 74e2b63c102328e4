/** Frames for tests of links. */

import { createFrameMemory } from '../../wire/frame-memory.ts'
import { emptyFrame, type Link, type LinkFrame } from './link.ts'

/** Memory of test frames, used again and again. */
const memory = createFrameMemory(2 ** 23)
let next = 0

/** A frame of `length` bytes that carries its number. It is good until some MiB of others are made. */
export function numbered(number: number, length = 64): LinkFrame {
  const frame = emptyFrame(memory)
  frame.offset = place(Math.max(length, 4))
  frame.length = length
  frame.originalLength = length
  memory.bytes.fill(number & 0xff, frame.offset, frame.offset + length)
  if (length >= 4) view().setUint32(frame.offset, number)
  return frame
}

/** A frame of these bytes. */
export function frameOf(bytes: Uint8Array, timeNs = 0): LinkFrame {
  const frame = emptyFrame(memory)
  frame.offset = place(bytes.length)
  frame.length = bytes.length
  frame.originalLength = bytes.length
  frame.timeNs = timeNs
  memory.bytes.set(bytes, frame.offset)
  return frame
}

/** Returns a place for a frame of `bytes` bytes, at odd addresses too. */
function place(bytes: number): number {
  if (next + bytes > memory.bytes.length) next = 0
  const at = next
  next += bytes + 7
  return at
}

function view(): DataView {
  return new DataView(memory.bytes.buffer, memory.bytes.byteOffset)
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
