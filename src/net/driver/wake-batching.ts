/**
 * Receive coalescing, as network cards have it (ethtool: rx-frames, rx-usecs). While a connection
 * carries a lot, the kernel wakes it for four megabytes at a time. Otherwise a receiver that is
 * faster than its sender is woken for every segment, and both pay for it. With `iperf3 -c` over
 * loopback the receiver took 0.13 s of CPU per GB instead of 0.36, and the sender 0.36 instead of
 * 0.5. A clock lowers the mark again when less arrives.
 */

/**
 * Sets the low-water mark for receiving of the socket `fd`, in bytes. Returns false if it has none.
 * `wakeBatching` of `netmem/linux` makes one.
 */
export type WakeBatching = (fd: number, bytes: number) => boolean

/** The mark: 1.2 ms at 3.5 GB/s. Half as much gained a little less, an eighth a lot less. */
const MARK_BYTES = 4 * 1024 * 1024
/**
 * Length of a tick. Data below the mark waits two ticks at most. With 2 ms TLS was faster than its
 * clock.
 */
const TICK_MS = 8
/** Bytes in one tick that are worth a mark: 0.5 GB/s. */
const BULK_BYTES = MARK_BYTES

export class LowWaterMark {
  readonly #set: WakeBatching
  /** Returns -1 once the socket is closed, since another socket may get its number. */
  readonly #fd: () => number
  /** True while the kernel waits for more than a byte. */
  raised = false
  #available = true
  /** Bytes that arrived in this tick. */
  #bytes = 0
  /** Bytes that are sure to arrive, which the mark must not exceed. */
  #left = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(set: WakeBatching, fd: () => number) {
    this.#set = set
    this.#fd = fd
  }

  /** Notes that `bytes` have arrived. `left` more will arrive for sure, infinite if unknown. */
  arrived(bytes: number, left: number): void {
    this.#bytes += bytes
    this.#left = left
    if (this.raised && left < MARK_BYTES) this.#lower()
    if (this.#timer === undefined && this.#available) {
      this.#timer = setTimeout(() => this.#tick(), TICK_MS).unref()
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#available = false
    this.raised = false
  }

  #tick(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    if (this.raised) {
      if (bytes === 0) this.#lower()
    } else if (bytes >= BULK_BYTES && this.#left >= MARK_BYTES) {
      this.#available = this.#set(this.#fd(), MARK_BYTES)
      this.raised = this.#available
    }
    // An idle connection needs no clock.
    if (bytes > 0 && this.#available) this.#timer?.refresh()
    else this.#timer = undefined
  }

  /**
   * Lowers the mark. The kernel checks at once whether there is data to wake for
   * (tcp_set_rcvlowat).
   */
  #lower(): void {
    this.raised = false
    this.#set(this.#fd(), 1)
  }
}
