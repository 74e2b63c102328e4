/**
 * Timer of a connection that waits for its server. One timer for the life of the connection fires when
 * the present limit may be over. So progress costs a look at the clock, and not a timer.
 */

/** Owner of a {@link StallTimer}. */
export interface StallListener {
  /** The server has exceeded the limit. */
  expired(limitMs: number): void
  /** True if this side kept the server waiting since the last call, and makes progress. */
  excuses(): boolean
}

export class StallTimer {
  #owner: StallListener | undefined
  #idle: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #limitMs = 0
  #since = 0
  #dueAt = 0
  #waiting = false
  #stopped = false

  /** Begins an exchange. Tells `owner` once if the server is silent for `limitMs`. */
  begin(limitMs: number, owner: StallListener): void {
    this.#owner = owner
    this.#timer?.ref()
    this.resume(limitMs)
  }

  /** Begins a rest. Calls `idle` after `limitMs`. A rest does not keep the process alive. */
  rest(limitMs: number, idle: () => void): void {
    this.#owner = undefined
    this.#idle = idle
    this.resume(limitMs)
    this.#timer?.unref()
  }

  /** Notes that the server did something. */
  touch(): void {
    this.#since = performance.now()
  }

  /** Stops the clock: the connection does not wait for the server. */
  pause(): void {
    this.#waiting = false
  }

  /** Starts the clock: the connection waits for the server. */
  resume(limitMs: number): void {
    if (this.#stopped) return
    this.#limitMs = limitMs
    this.#waiting = true
    this.touch()
    // A timer that fires early is harmless.
    if (this.#timer === undefined || this.#since + limitMs < this.#dueAt) this.#arm(limitMs)
  }

  /** Ends the timer with its connection. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#stopped = true
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer)
    this.#dueAt = performance.now() + ms
    this.#timer = setTimeout(() => this.#look(), ms)
    if (this.#owner === undefined) this.#timer.unref()
  }

  #look(): void {
    const left = this.#since + this.#limitMs - performance.now()
    if (!this.#waiting || this.#owner?.excuses() === true) {
      this.touch()
      this.#arm(this.#limitMs)
    } else if (left >= 1) {
      this.#arm(left)
    } else if (this.#owner !== undefined) {
      this.#owner.expired(this.#limitMs)
    } else {
      this.#idle?.()
    }
  }
}
