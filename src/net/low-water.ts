/**
 * Receive coalescing, as network cards have it (ethtool's rx-frames and rx-usecs): while a
 * connection carries a lot, the kernel wakes nobody for less than what came in 2 ms, four megabytes at the most. A receiver that
 * is faster than its sender is otherwise woken for every segment, and both pay for it: with
 * `iperf3 -c` over loopback the receiver took 0.13 s of CPU per GB instead of 0.36, and the sender
 * 0.36 instead of 0.5. A clock takes the mark back when less comes than that.
 */

/**
 * Sets the low-water mark for receiving of the socket `fd`, in bytes; false where it has none.
 * `lowWater` of `netmem/linux` makes one.
 */
export type LowWater = (fd: number, bytes: number) => boolean

/** 1.2 ms at 3.5 GB/s. Half as much gained a little less there, an eighth a lot less. */
const MAX_MARK_BYTES = 4 * 1024 * 1024
/** The mark is what came in one of these, so that it is reached about once in each. */
const TICK_MS = 2
/** The mark is taken back after so many that brought nothing: what waits below it waits no longer. */
const EMPTY_TICKS = 2
/** A tick that brought as much is worth a mark: 0.5 GB/s. */
const BULK_BYTES = 1024 * 1024
/** Any byte wakes. */
const NO_MARK = 1

export class LowWaterMark {
  readonly #setLowWater: LowWater
  /** -1 when there is none any more: its number may be another socket's. */
  readonly #fd: () => number
  #mark = NO_MARK
  #given = true
  /** Bytes in this tick, and ticks without any before it. */
  #bytes = 0
  #emptyTicks = 0
  /** What is sure to come, which the mark must not exceed. */
  #left = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(setLowWater: LowWater, fd: () => number) {
    this.#setLowWater = setLowWater
    this.#fd = fd
  }

  /** So many bytes have arrived, and `left` more will, if that is known. */
  arrived(bytes: number, left: number): void {
    this.#bytes += bytes
    this.#left = left
    if (left < this.#mark) this.#set(NO_MARK)
    if (this.#timer === undefined && this.#given) {
      this.#timer = setTimeout(() => this.#tick(), TICK_MS).unref()
    }
  }

  /** Whether the kernel waits for more than a byte. */
  get raised(): boolean {
    return this.#mark !== NO_MARK
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#given = false
    this.#mark = NO_MARK
  }

  #tick(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    this.#emptyTicks = bytes === 0 ? this.#emptyTicks + 1 : 0
    const worth = Math.min(bytes, this.#left, MAX_MARK_BYTES)
    if (this.#emptyTicks === EMPTY_TICKS) {
      if (this.raised) this.#set(NO_MARK)
      // An idle connection needs no clock.
      this.#timer = undefined
      return
    }
    // A tick brings some times the mark, so that only twice as much says that there is more of it.
    if (worth >= BULK_BYTES && worth >= 2 * this.#mark) this.#set(worth)
    if (this.#given) this.#timer?.refresh()
  }

  /** Lowering it, the kernel looks at once whether there is something to wake for (tcp_set_rcvlowat). */
  #set(bytes: number): void {
    this.#given = this.#setLowWater(this.#fd(), bytes)
    this.#mark = this.#given ? bytes : NO_MARK
  }
}
