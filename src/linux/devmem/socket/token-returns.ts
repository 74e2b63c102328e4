/**
 * Gives tokens back to the kernel, many with one call (SO_DEVMEM_DONTNEED). A kernel may release tokens
 * by itself when their socket closes. So a connection keeps its socket until the last token is back.
 */

import type { BindingUse } from './binding-use.ts'

/** Ranges that the kernel takes in one call (Linux, net/core/sock.c, MAX_DONTNEED_TOKENS). */
export const MAX_RETURNED_RANGES = 128
/** Tokens that the kernel looks at in one call. It ignores the rest (MAX_DONTNEED_FRAGS). */
export const MAX_RETURNED_TOKENS = 1024

/** Call that gives tokens back. */
export interface TokenSink {
  /**
   * Gives back the tokens of `ranges`: pairs of a first token and a number of tokens. Returns how many
   * the kernel knew.
   */
  giveBack(ranges: Uint32Array): number
  /** Called when no token is out any more. */
  allBack(): void
}

export class TokenReturns {
  /** Tokens that the kernel handed out and has not got back. */
  out = 0
  /** Tokens that went back so far, and calls that took them. */
  returned = 0
  calls = 0
  readonly #sink: TokenSink
  readonly #ranges = new Uint32Array(2 * MAX_RETURNED_RANGES)
  /** Use of the binding that the tokens in {@link #ranges} are of. */
  #use: BindingUse | undefined
  #length = 0
  #tokens = 0
  #scheduled = false

  readonly #flushLater = (): void => {
    this.#scheduled = false
    this.flush()
  }

  constructor(sink: TokenSink) {
    this.#sink = sink
  }

  /** Counts a token that has arrived. */
  arrived(use: BindingUse): void {
    this.out++
    use.tokens++
  }

  /** Takes a token whose frag was released. It goes back with others, in this turn of the event loop. */
  release(token: number, use: BindingUse): void {
    // A connection comes by one queue, and hardly ever by another with a binding of its own.
    if (use !== this.#use) {
      this.flush()
      this.#use = use
    }
    const at = this.#length - 2
    const start = this.#ranges[at] ?? 0
    const count = this.#ranges[at + 1] ?? 0
    // Numbers are handed out in ascending order, and mostly released so.
    if (at >= 0 && token === start + count) this.#ranges[at + 1] = count + 1
    else this.#begin(token)
    if (++this.#tokens === MAX_RETURNED_TOKENS || use.pressed) this.flush()
    // A microtask would run after every frag of a loop with `await`.
    else if (!this.#scheduled) this.#schedule()
  }

  /** Gives back what has been released. */
  flush(): void {
    const tokens = this.#tokens
    if (tokens === 0) return
    const length = this.#length
    this.#tokens = 0
    this.#length = 0
    if (this.#use !== undefined) this.#use.tokens -= tokens
    this.out -= tokens
    this.returned += tokens
    this.calls++
    this.#sink.giveBack(this.#ranges.subarray(0, length))
    if (this.out === 0) this.#sink.allBack()
  }

  #begin(token: number): void {
    if (this.#length === this.#ranges.length) this.flush()
    this.#ranges[this.#length++] = token
    this.#ranges[this.#length++] = 1
  }

  #schedule(): void {
    this.#scheduled = true
    setImmediate(this.#flushLater)
  }
}
