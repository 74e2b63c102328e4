/** Collects the tokens of released frags, and gives back up to 64 of them with one `dontneed`. */

import type { DevmemSocket } from './devmem-socket.ts'
import type { TokenRange } from './messages.ts'

/** Largest number of tokens that wait: as many as the kernel's drivers refill at once. */
export const TOKEN_BATCH = 64

interface MutableRange {
  start: number
  count: number
}

export class TokenBatch {
  readonly #socket: DevmemSocket
  readonly #tokens = new Uint32Array(TOKEN_BATCH)
  readonly #serials = new Float64Array(TOKEN_BATCH)
  /** Objects that are used again for each batch. */
  readonly #spare: MutableRange[] = []
  readonly #ranges: TokenRange[] = []
  #length = 0
  #scheduled = false
  readonly #flushLater = (): void => {
    this.#scheduled = false
    this.flush()
  }

  constructor(socket: DevmemSocket) {
    this.#socket = socket
  }

  /** Adds a token, unless it was freed since and its number may be another token's. */
  add(token: number, serial: number): void {
    if (this.#socket.reader.tokens.serial(token) !== serial) return
    this.#tokens[this.#length] = token
    this.#serials[this.#length] = serial
    this.#length++
    if (this.#length === TOKEN_BATCH) this.flush()
    else if (!this.#scheduled) this.#schedule()
  }

  /** Gives back the tokens added so far. That happens by itself at 64, and in the next turn of the event loop. */
  flush(): void {
    const tokens = this.#takeValid()
    if (tokens.length === 0) return
    this.#ranges.length = 0
    let range = this.#range(0, tokens[0] ?? 0)
    for (let at = 1; at < tokens.length; at++) {
      const token = tokens[at] ?? 0
      if (token === range.start + range.count) range.count++
      else range = this.#range(this.#ranges.length, token)
    }
    this.#socket.dontneed(this.#ranges)
  }

  // A microtask would run after every frag of a loop with `await`.
  #schedule(): void {
    this.#scheduled = true
    setImmediate(this.#flushLater)
  }

  /** Returns the tokens that were not freed since, in ascending order. */
  #takeValid(): Uint32Array {
    const table = this.#socket.reader.tokens
    let valid = 0
    let last = 0
    let ascending = true
    for (let at = 0; at < this.#length; at++) {
      const token = this.#tokens[at] ?? 0
      if (table.serial(token) !== this.#serials[at]) continue
      this.#tokens[valid++] = token
      ascending &&= token > last
      last = token
    }
    this.#length = 0
    const tokens = this.#tokens.subarray(0, valid)
    // Frags are mostly released in order, and sorting costs more than the other work.
    return ascending ? tokens : tokens.sort()
  }

  #range(at: number, token: number): MutableRange {
    const range = this.#spare[at] ?? { start: 0, count: 0 }
    this.#spare[at] = range
    this.#ranges[at] = range
    range.start = token
    range.count = 1
    return range
  }
}
