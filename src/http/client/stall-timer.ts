/**
 * Timer of a connection that waits for its server. One timer for the life of the connection fires when
 * the present limit may be over. So progress costs a look at the clock, and not a timer.
 */

/** Listener of a {@link StallTimer}. */
export interface StallListener {
  /** The server has exceeded the limit. */
  expired(limitMs: number): void
  /** True if this side kept the server waiting since the last call, and makes progress. */
  excuses?(): boolean
}

export class StallTimer {
  #listener: StallListener | undefined
  #timer: NodeJS.Timeout | undefined
  #limitMs = 0
  #since = 0
  #dueAt = 0
  #waiting = false
  #stopped = false

  /** Starts the clock. Tells `listener` if the server is silent for `limitMs`. */
  start(limitMs: number, listener: StallListener | undefined = this.#listener): void {
    if (this.#stopped) return
    this.#listener = listener
    this.#limitMs = limitMs
    this.#waiting = true
    this.touch()
    // A timer that fires early is harmless.
    if (this.#timer === undefined || this.#since + limitMs < this.#dueAt) this.#arm(limitMs)
  }

  /** Notes that the server did something. */
  touch(): void {
    this.#since = performance.now()
  }

  /** Stops the clock until the next {@link start}: the connection does not wait for the server. */
  pause(): void {
    this.#waiting = false
  }

  /** Ends the timer with its connection. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#stopped = true
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer)
    this.#dueAt = performance.now() + ms
    // The socket keeps the process alive, except while the connection rests.
    this.#timer = setTimeout(() => this.#look(), ms).unref()
  }

  #look(): void {
    if (!this.#waiting || this.#listener?.excuses?.() === true) this.touch()
    const left = this.#since + this.#limitMs - performance.now()
    if (left >= 1) this.#arm(left)
    else this.#listener?.expired(this.#limitMs)
  }
}
