/**
 * The random numbers of tests and test data: splitmix32, a counter put through a mixing function,
 * so that every seed will do and the same seed gives the same numbers on every machine. Not for
 * secrets.
 */
export class Random {
  #state: number

  /** `seed` is 0 to 2^32 − 1. */
  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** The next number: a whole one of 0 to 2^32 − 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** The next number, 0 or more and less than 1. */
  fraction(): number {
    return this.next() / 2 ** 32
  }
}
