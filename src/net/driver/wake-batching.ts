/**
 * Receive coalescing, as network cards have it (ethtool's rx-frames and rx-usecs): while a
 * connection carries a lot, the kernel wakes nobody for less than four megabytes. A receiver that
 * is faster than its sender is otherwise woken for every segment, and both pay for it: with
 * `iperf3 -c` over loopback the receiver took 0.13 s of CPU per GB instead of 0.36, and the sender
 * 0.36 instead of 0.5. A clock takes the mark back when less comes than that.
 */

/**
 * Sets the low-water mark for receiving of the socket `fd`, in bytes; false where it has none.
 * `wakeBatching` of `netmem/linux` makes one.
 */
export type WakeBatching = (fd: number, bytes: number) => boolean

/** 1.2 ms at 3.5 GB/s. Half as much gained a little less, an eighth a lot less. */
const MARK_BYTES = 4 * 1024 * 1024
/** What waits below the mark waits no longer than two of these. With 2 ms TLS was faster than its clock. */
const TICK_MS = 8
/** A tick that brought as much is worth a mark: 0.5 GB/s. */
const BULK_BYTES = MARK_BYTES

export class LowWaterMark {
  readonly #set: WakeBatching
  /** -1 when there is none any more: its number may be another socket's. */
  readonly #fd: () => number
  #raised = false
  #given = true
  /** Bytes in this tick. */
  #bytes = 0
  /** What is sure to come, which the mark must not exceed. */
  #left = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(set: WakeBatching, fd: () => number) {
    this.#set = set
    this.#fd = fd
  }

  /** So many bytes have arrived, and `left` more will, if that is known. */
  arrived(bytes: number, left: number): void {
    this.#bytes += bytes
    this.#left = left
    if (this.#raised && left < MARK_BYTES) this.#lower()
    if (this.#timer === undefined && this.#given) {
      this.#timer = setTimeout(() => this.#tick(), TICK_MS).unref()
    }
  }

  /** Whether the kernel waits for more than a byte. */
  get raised(): boolean {
    return this.#raised
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#given = false
    this.#raised = false
  }

  #tick(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    if (this.#raised) {
      if (bytes === 0) this.#lower()
    } else if (bytes >= BULK_BYTES && this.#left >= MARK_BYTES) {
      this.#given = this.#set(this.#fd(), MARK_BYTES)
      this.#raised = this.#given
    }
    // An idle connection needs no clock.
    if (bytes > 0 && this.#given) this.#timer?.refresh()
    else this.#timer = undefined
  }

  /** The kernel looks at once whether there is something to wake for (tcp_set_rcvlowat). */
  #lower(): void {
    this.#raised = false
    this.#set(this.#fd(), 1)
  }
}
