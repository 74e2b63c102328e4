/**
 * Allocator of the lowest free number. A tree of bits, 32 below each: a set bit means that a number
 * below it is free, so that taking and giving back look at one word per level. Two levels hold 1024
 * numbers. The tree grows by a level when all numbers are taken.
 */

const BITS = 5
const FANOUT = 32

export class LowestFree {
  readonly #limit: number
  /** Words of each level, from the numbers up to the one word at the top. */
  #levels: Int32Array[] = []

  /** @param limit Numbers are below it: at most 2^31. */
  constructor(limit: number) {
    this.#limit = limit
    this.#build(2, 0)
  }

  /** Takes the lowest free number. Returns −1 if none is free. */
  take(): number {
    const top = this.#levels.length - 1
    if (this.#levels[top]?.[0] === 0) {
      if (FANOUT ** (top + 1) >= this.#limit) return -1
      this.#build(top + 2, FANOUT ** (top + 1))
      return this.take()
    }
    let number = 0
    for (let level = top; level >= 0; level--) {
      const bits = this.#levels[level]?.[number] ?? 0
      number = number * FANOUT + 31 - Math.clz32(bits & -bits)
    }
    let below = number
    for (const words of this.#levels) {
      const left = (words[below >>> BITS] ?? 0) & ~(1 << (below & 31))
      words[below >>> BITS] = left
      if (left !== 0) break
      below >>>= BITS
    }
    return number
  }

  /** Gives back a number that is taken. */
  giveBack(number: number): void {
    let below = number
    for (const words of this.#levels) {
      const before = words[below >>> BITS] ?? 0
      words[below >>> BITS] = before | (1 << (below & 31))
      if (before !== 0) break
      below >>>= BITS
    }
  }

  /** Makes `depth` levels, with all numbers free but the first `taken`. */
  #build(depth: number, taken: number): void {
    this.#levels = []
    let from = taken
    let to = Math.min(FANOUT ** depth, this.#limit)
    for (let level = 0; level < depth; level++) {
      const words = new Int32Array(Math.max(1, Math.ceil(to / FANOUT)))
      for (let at = from; at < to; at++) {
        if ((at & 31) === 0 && at + FANOUT <= to) {
          words[at >>> BITS] = -1
          at += FANOUT - 1
        } else {
          words[at >>> BITS] = (words[at >>> BITS] ?? 0) | (1 << (at & 31))
        }
      }
      this.#levels.push(words)
      // The level above has a bit for each word in which a number is free.
      from >>>= BITS
      to = Math.ceil(to / FANOUT)
    }
  }
}
