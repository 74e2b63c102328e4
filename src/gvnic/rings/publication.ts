/**
 * Makes the completions of a batch visible by one ordered write. A driver looks at completions one after
 * the other, so all but the first of a batch may be written in any order before the first is.
 */
export class Publication {
  readonly #words: Uint32Array
  /** Place of the word by which the first completion is seen. −1 without one. */
  #at = -1
  #word = 0

  constructor(words: Uint32Array) {
    this.#words = words
  }

  /** Adds a completion, of which all words but this one are written. */
  add(at: number, word: number): void {
    if (this.#at >= 0) this.#words[at] = word
    else {
      this.#at = at
      this.#word = word
    }
  }

  /** Makes what was added visible. Returns false if that is nothing. */
  publish(): boolean {
    if (this.#at < 0) return false
    Atomics.store(this.#words, this.#at, this.#word)
    this.#at = -1
    return true
  }
}
