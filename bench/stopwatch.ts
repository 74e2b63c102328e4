/** Measures a receiver from the inside, once its warm-up is over: speed and CPU. */

export class Stopwatch {
  #left: number
  readonly #bytes: number
  #warm: boolean
  #startedAt = performance.now()
  #cpuAtStart = process.cpuUsage()
  #counted = 0
  #stopped: { readonly seconds: number; readonly cpuSeconds: number } | undefined

  /** Bytes that do not count, and bytes that do. */
  constructor(warmUp: number, bytes: number) {
    this.#left = warmUp
    this.#bytes = bytes
    this.#warm = warmUp === 0
  }

  /** Takes note of what has arrived, or false when that was enough. */
  count(bytes: number): boolean {
    if (!this.#warm) {
      this.#left -= bytes
      if (this.#left <= 0) this.#start()
      return true
    }
    if (this.#stopped !== undefined) return false
    this.#counted += bytes
    if (this.#counted < this.#bytes) return true
    const cpu = process.cpuUsage(this.#cpuAtStart)
    this.#stopped = {
      seconds: (performance.now() - this.#startedAt) / 1000,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
    }
    return false
  }

  /** Throws if fewer bytes have arrived than it was to count. */
  sample(): { readonly gbPerS: number; readonly cpuPerGb: number } {
    if (this.#stopped === undefined) {
      throw new Error(`${this.#counted} of ${this.#bytes} bytes arrived`)
    }
    const gigabytes = this.#counted / 1e9
    return {
      gbPerS: gigabytes / this.#stopped.seconds,
      cpuPerGb: this.#stopped.cpuSeconds / gigabytes,
    }
  }

  #start(): void {
    this.#warm = true
    this.#startedAt = performance.now()
    this.#cpuAtStart = process.cpuUsage()
  }
}
