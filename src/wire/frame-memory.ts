/**
 * Memory of frames, with the Internet checksum (RFC 1071) over it: in WebAssembly if the engine has SIMD.
 */

import { ArgumentRangeError, checkInteger } from '../errors.ts'
import { sumBytes } from './checksum.ts'
import { createChecksumInstance } from './checksum-module.ts'

type Sum = (offset: number, length: number, initial: number) => number

/** Limit of the engine's small integers. WebAssembly can address more. */
const MAX_BYTES = 2 ** 31
/** Views kept: a power of two. */
const VIEWS = 4096

/**
 * Creates memory for frames, all 0.
 *
 * @param bytes 1 to 2^31.
 * @throws NETMEM_OUT_OF_RANGE
 */
export function createFrameMemory(bytes: number): FrameMemory {
  return createSimdFrameMemory(bytes) ?? createPlainFrameMemory(bytes)
}

/** @internal Makes memory as {@link createFrameMemory} does, or `undefined` without WebAssembly with SIMD. */
export function createSimdFrameMemory(bytes: number): FrameMemory | undefined {
  checkInteger('bytes', bytes, 1, MAX_BYTES)
  const instance = createChecksumInstance(bytes)
  if (instance === undefined) return undefined
  return new FrameMemory(new Uint8Array(instance.buffer, 0, bytes), instance.sum)
}

/** @internal Makes memory as {@link createFrameMemory} does, in plain JavaScript. */
export function createPlainFrameMemory(bytes: number): FrameMemory {
  checkInteger('bytes', bytes, 1, MAX_BYTES)
  const memory = new Uint8Array(bytes)
  return new FrameMemory(memory, (offset, length, initial) =>
    sumBytes(memory, offset, length, initial),
  )
}

/** Memory of frames, created by {@link createFrameMemory}. */
export class FrameMemory {
  /** All bytes of the memory, always the same view. */
  readonly bytes: Uint8Array
  readonly #sum: Sum
  readonly #views: KeptViews

  /** @internal */
  constructor(bytes: Uint8Array, sum: Sum) {
    this.bytes = bytes
    this.#sum = sum
    this.#views = new KeptViews(bytes)
  }

  /**
   * Returns the one's complement sum of `length` bytes from `offset` as big-endian words. It is folded to
   * 16 bits and not inverted, and 0 only if all bytes are 0. A last odd byte is padded with zero.
   *
   * @param initial sum to continue with: 0 to 2^32 − 1, 0 by default.
   * @throws NETMEM_OUT_OF_RANGE outside the memory.
   */
  sum(offset: number, length: number, initial: number = 0): number {
    checkInside(offset, length, this.bytes.length)
    return this.#sum(offset, length, initial)
  }

  /**
   * Returns a view of a part. It is kept for the next call for the same part, so that frames in the
   * same places make no garbage.
   *
   * @throws NETMEM_OUT_OF_RANGE outside the memory.
   */
  view(offset: number, length: number): Uint8Array {
    return this.#views.view(offset, length)
  }
}

/**
 * Views of parts of one memory, each kept for the next use of the same part: a new view for every
 * frame would be garbage. They keep the memory alive.
 */
export class KeptViews {
  readonly #memory: Uint8Array
  readonly #start: number
  readonly #views = new Array<Uint8Array | undefined>(VIEWS).fill(undefined)

  constructor(memory: Uint8Array) {
    this.#memory = memory
    this.#start = memory.byteOffset
  }

  /**
   * Returns the view of `length` bytes at `offset`.
   *
   * @throws NETMEM_OUT_OF_RANGE unless they are inside the memory.
   */
  view(offset: number, length: number): Uint8Array {
    const slot = (offset ^ (offset >>> 12)) & (VIEWS - 1)
    const kept = this.#views[slot]
    if (kept !== undefined && kept.byteOffset === this.#start + offset && kept.length === length) {
      return kept
    }
    checkInside(offset, length, this.#memory.length)
    const view = this.#memory.subarray(offset, offset + length)
    this.#views[slot] = view
    return view
  }
}

function checkInside(offset: number, length: number, bytes: number): void {
  // The condition makes NaN lie outside.
  if (offset >= 0 && length >= 0 && offset + length <= bytes) return
  throw new ArgumentRangeError(
    'NETMEM_OUT_OF_RANGE',
    `${length} bytes at ${offset} are not all inside this memory of ${bytes} bytes.`,
  )
}
