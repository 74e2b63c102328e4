/**
 * Notices that a server keeps a connection waiting. One timer for the life of the connection, which
 * looks when the present limit may be over: beginning, progress and rest cost no more than reading
 * the clock, since a timer for each would cost a small body more than its head does.
 */

/** Whom to tell that time is over. */
export interface StallListener {
  /** The limit was exceeded. */
  expired(limitMs: number): void
  /** True if the server was kept waiting since the last look, by a consumer that goes on. */
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

  /** The server has to do something within `limitMs` from now, or `owner` is told, once. */
  begin(limitMs: number, owner: StallListener): void {
    this.#owner = owner
    this.#timer?.ref()
    this.resume(limitMs)
  }

  /** Nobody waits for the server, and the process not for the timer: `idle` is called after `limitMs`. */
  rest(limitMs: number, idle: () => void): void {
    this.#owner = undefined
    this.#idle = idle
    this.resume(limitMs)
    this.#timer?.unref()
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
    if (this.#stopped) return
    this.#limitMs = limitMs
    this.#waiting = true
    this.touch()
    // Otherwise it looks sooner than it need.
    if (this.#timer === undefined || this.#since + limitMs < this.#dueAt) this.#arm(limitMs)
  }

  /** The connection has ended. */
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
