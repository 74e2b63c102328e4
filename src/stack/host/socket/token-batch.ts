/** Tokens of released frags on their way back: one `dontneed` for up to 64 of them. */

import type { DevmemSocket } from './devmem-socket.ts'
import type { TokenRange } from './messages.ts'

/** Tokens that wait, at most: as many as the kernel's drivers refill at once. */
export const TOKEN_BATCH = 64

interface MutableRange {
  start: number
  count: number
}

export class TokenBatch {
  readonly #socket: DevmemSocket
  readonly #tokens = new Uint32Array(TOKEN_BATCH)
  readonly #serials = new Float64Array(TOKEN_BATCH)
  /** Made once and used for every batch, and the list of those in use. */
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

  /** Adds a token, unless somebody has freed it since and its number may stand for something else. */
  add(token: number, serial: number): void {
    if (this.#socket.reader.tokens.serial(token) !== serial) return
    this.#tokens[this.#length] = token
    this.#serials[this.#length] = serial
    this.#length++
    if (this.#length === TOKEN_BATCH) this.flush()
    else if (!this.#scheduled) this.#schedule()
  }

  /** Gives back what has been added. Without it, that happens at 64, or before the event loop goes on. */
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

  // Not a microtask: in a loop that awaits, that would be after every frag.
  #schedule(): void {
    this.#scheduled = true
    setImmediate(this.#flushLater)
  }

  /** The tokens that are still what they were, in ascending order. */
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
    // Frags are mostly released as they came, and sorting costs more than all the rest.
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
