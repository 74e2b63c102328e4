/**
 * Pseudo-random numbers of tests, test data and link faults: splitmix32, a counter put through a
 * mixing function. Every seed will do, and one seed gives the same numbers on every machine. Not for
 * secrets.
 */
export class Random {
  #state: number

  /** @param seed 0 to 2^32 − 1. */
  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** Returns the next number: an integer of 0 to 2^32 − 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** Returns the next number as a fraction: at least 0, less than 1. */
  fraction(): number {
    return this.next() / 2 ** 32
  }

  /** Returns the next number as an integer of 0 to `limit` − 1. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }
}
