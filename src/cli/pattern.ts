/**
 * Test data: a period, repeated without end. Any part of it can be made or checked at the speed of
 * memory. A check finds data that is wrong, lost, doubled or misplaced, unless it is misplaced by whole
 * periods. The period is pseudo-random. `ncdevmem` is the one that the kernel's own tool checks.
 */

import { Random } from '../random.ts'

/** A prime, so that no power of two, page or block is a multiple of it. */
export const PERIOD_BYTES: number = 2 ** 20 + 7

/** Seeds are 0 to 2^32 − 1. */
export const MAX_SEED: number = 2 ** 32 - 1

/**
 * Line that `ncdevmem -v 7` expects again and again: as many bytes as its option says
 * (K: tools/testing/selftests/drivers/net/hw/ncdevmem.c, validate_buffer).
 */
const NCDEVMEM_LINE = Buffer.from([1, 2, 3, 4, 5, 6, 10])

/** A seed, or the pattern of the kernel's ncdevmem. */
export type PatternName = number | 'ncdevmem'

/** The stream of one name, the same on every machine. */
export class Pattern {
  readonly periodBytes: number
  /** Two periods, so that a whole period follows every phase in one piece. */
  readonly doubled: Buffer

  constructor(name: PatternName) {
    const period = name === 'ncdevmem' ? ncdevmemPeriod() : randomPeriod(name)
    this.periodBytes = period.byteLength
    this.doubled = Buffer.concat([period, period])
  }

  /** Returns a view of the stream from byte `offset`: `maxBytes`, or a period if that is less. */
  view(offset: number, maxBytes: number): Uint8Array {
    const phase = offset % this.periodBytes
    return this.doubled.subarray(phase, phase + Math.min(maxBytes, this.periodBytes))
  }

  /** The first `bytes` of the stream, in views of `viewBytes`. */
  *views(bytes: number, viewBytes: number): Generator<Uint8Array, void, void> {
    for (let at = 0; at < bytes; ) {
      const view = this.view(at, Math.min(viewBytes, bytes - at))
      yield view
      at += view.byteLength
    }
  }
}

function randomPeriod(seed: number): Buffer {
  const period = Buffer.alloc(PERIOD_BYTES + 1)
  const random = new Random(seed)
  for (let at = 0; at < PERIOD_BYTES; at += 4) period.writeUInt32LE(random.next(), at)
  return period.subarray(0, PERIOD_BYTES)
}

/** Whole lines, for views as large as those of other patterns. */
function ncdevmemPeriod(): Buffer {
  return Buffer.alloc(
    Math.ceil(PERIOD_BYTES / NCDEVMEM_LINE.length) * NCDEVMEM_LINE.length,
    NCDEVMEM_LINE,
  )
}

/** Checks a stream against a pattern, chunk by chunk. */
export class Verifier {
  readonly #pattern: Buffer
  readonly #periodBytes: number
  /** Bytes checked so far. A wrong byte ends the checks. */
  bytes = 0
  /** The offset in the stream of the first wrong byte. */
  firstWrong: number | undefined

  constructor(pattern: Pattern) {
    this.#pattern = pattern.doubled
    this.#periodBytes = pattern.periodBytes
  }

  /** Checks the next bytes. Returns false after the first wrong byte. */
  check(chunk: Uint8Array): boolean {
    const pattern = this.#pattern
    for (let at = 0; at < chunk.byteLength; ) {
      if (this.firstWrong !== undefined) return false
      const phase = this.bytes % this.#periodBytes
      const length = Math.min(chunk.byteLength - at, pattern.byteLength - phase)
      if (pattern.compare(chunk, at, at + length, phase, phase + length) !== 0) {
        this.#locate(chunk.subarray(at, at + length), phase)
        return false
      }
      this.bytes += length
      at += length
    }
    return this.firstWrong === undefined
  }

  #locate(piece: Uint8Array, phase: number): void {
    const at = piece.findIndex((byte, index) => byte !== this.#pattern[phase + index])
    this.bytes += Math.max(0, at)
    this.firstWrong = this.bytes
  }
}
