/**
 * Notices that a server keeps a transfer waiting. One timer for the whole exchange, which looks
 * when the present limit may be over; progress costs no more than reading the clock.
 */

export class StallWatch {
  readonly #expired: (limitMs: number) => void
  readonly #excused: () => boolean
  #timer: NodeJS.Timeout | undefined
  #limitMs = 0
  #since = 0
  #dueAt = 0
  #waiting = false

  /** `expired` is called once, with the limit that was exceeded; not while it is `excused`. */
  constructor(expired: (limitMs: number) => void, excused: () => boolean) {
    this.#expired = expired
    this.#excused = excused
  }

  /** The server has to do something within `limitMs` from now. */
  begin(limitMs: number): void {
    this.#limitMs = limitMs
    this.#since = performance.now()
    this.#waiting = true
    this.#arm(limitMs)
  }

  /** It did something. */
  touch(): void {
    this.#since = performance.now()
  }

  /** It is somebody else's turn. */
  pause(): void {
    this.#waiting = false
  }

  /** It is the server's turn again. */
  resume(limitMs: number): void {
    this.#limitMs = limitMs
    this.#waiting = true
    this.touch()
    // Armed for a longer limit.
    if (this.#since + limitMs < this.#dueAt) this.#arm(limitMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer)
    this.#dueAt = performance.now() + ms
    this.#timer = setTimeout(() => this.#look(), ms)
  }

  #look(): void {
    const left = this.#since + this.#limitMs - performance.now()
    if (!this.#waiting || this.#excused()) {
      this.touch()
      this.#arm(this.#limitMs)
    } else if (left >= 1) {
      this.#arm(left)
    } else {
      this.#expired(this.#limitMs)
    }
  }
}
