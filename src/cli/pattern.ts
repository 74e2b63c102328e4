/**
 * Test data: a pseudo-random period, repeated without end. Any part of it can be made or checked at
 * the speed of memory. A check finds data that is wrong, lost, doubled or misplaced, unless it is
 * misplaced by whole periods.
 */

import { Random } from '../random.ts'

/** A prime, so that no power of two, page or block is a multiple of it. */
export const PERIOD_BYTES: number = 2 ** 20 + 7

/** Seeds are 0 to 2^32 − 1. */
export const MAX_SEED: number = 2 ** 32 - 1

/** The stream of one seed, the same on every machine. */
export class Pattern {
  readonly seed: number
  /** Two periods, so that a whole period follows every phase in one piece. */
  readonly doubled: Buffer

  constructor(seed: number) {
    this.seed = seed
    this.doubled = Buffer.alloc(2 * PERIOD_BYTES)
    const random = new Random(seed)
    for (let at = 0; at < PERIOD_BYTES; at += 4) this.doubled.writeUInt32LE(random.next(), at)
    this.doubled.copy(this.doubled, PERIOD_BYTES, 0, PERIOD_BYTES)
  }

  /** Returns a view of the stream from byte `offset`: `maxBytes`, or a period if that is less. */
  view(offset: number, maxBytes: number): Uint8Array {
    const phase = offset % PERIOD_BYTES
    return this.doubled.subarray(phase, phase + Math.min(maxBytes, PERIOD_BYTES))
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

/** Checks a stream against a pattern, chunk by chunk. */
export class Verifier {
  readonly #pattern: Buffer
  #bytes = 0
  #firstWrong: number | undefined

  constructor(pattern: Pattern) {
    this.#pattern = pattern.doubled
  }

  /** Bytes checked so far. A wrong byte ends the checks. */
  get bytes(): number {
    return this.#bytes
  }

  /** The offset in the stream of the first wrong byte. */
  get firstWrong(): number | undefined {
    return this.#firstWrong
  }

  /** Checks the next bytes; returns false after the first wrong one. */
  check(chunk: Uint8Array): boolean {
    const pattern = this.#pattern
    for (let at = 0; at < chunk.byteLength; ) {
      if (this.#firstWrong !== undefined) return false
      const phase = this.#bytes % PERIOD_BYTES
      const length = Math.min(chunk.byteLength - at, pattern.byteLength - phase)
      if (pattern.compare(chunk, at, at + length, phase, phase + length) !== 0) {
        this.#locate(chunk.subarray(at, at + length), phase)
        return false
      }
      this.#bytes += length
      at += length
    }
    return this.#firstWrong === undefined
  }

  #locate(piece: Uint8Array, phase: number): void {
    const at = piece.findIndex((byte, index) => byte !== this.#pattern[phase + index])
    this.#bytes += Math.max(0, at)
    this.#firstWrong = this.#bytes
  }
}
