/**
 * Memory that frames lie in, with the one thing that has to be done to all of their bytes: the
 * Internet checksum (RFC 1071), in WebAssembly with SIMD where the engine has it.
 */
export interface FrameMemory {
  /** All of it: the same view always. */
  readonly bytes: Uint8Array
  /**
   * The one's complement sum of `length` bytes from `offset`, folded to 16 bits and not inverted, as
   * of big-endian words; a last odd byte is padded with zero. `initial` is a sum to go on from.
   */
  sum(offset: number, length: number, initial?: number): number
  /** A view of a part of it, kept for the next call for the same part: makes no garbage where frames lie in the same places again and again. */
  view(offset: number, length: number): Uint8Array
}

const VIEWS = 4096

/** Memory of its own for frames, of at least `bytes` bytes. */
export function makeFrameMemory(bytes: number): FrameMemory {
  return new PlainFrameMemory(new Uint8Array(bytes))
}

class PlainFrameMemory implements FrameMemory {
  readonly bytes: Uint8Array
  readonly #views: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(VIEWS).fill(
    undefined,
  )

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  sum(offset: number, length: number, initial = 0): number {
    const { bytes } = this
    let sum = initial
    const even = offset + (length & ~1)
    for (let at = offset; at < even; at += 2) {
      sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
    }
    if ((length & 1) === 1) sum += (bytes[even] ?? 0) << 8
    while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000)
    return sum
  }

  view(offset: number, length: number): Uint8Array {
    const slot = (offset ^ (offset >>> 12)) & (VIEWS - 1)
    const kept = this.#views[slot]
    if (
      kept !== undefined &&
      kept.byteOffset - this.bytes.byteOffset === offset &&
      kept.length === length
    ) {
      return kept
    }
    const view = this.bytes.subarray(offset, offset + length)
    this.#views[slot] = view
    return view
  }
}
