/**
 * Interrupts of the queues: one notification block for each MSI-X vector but the management vector.
 * Firing disarms a block. An event while it is disarmed is remembered, and fires when the driver arms
 * it (K: drivers/net/ethernet/google/gve/gve_dqo.h, gve_main.c).
 */

// Bits of an interrupt doorbell.
const ENABLE = 1
const CLEAR_PENDING = 1 << 1

export class Interrupts {
  /** Number of notification blocks. */
  readonly count: number
  /** Interrupts fired since the card was made. */
  fired = 0
  readonly #fire: (vector: number) => void
  readonly #armed: Uint8Array
  readonly #pending: Uint8Array
  /** Vector of the first block: 0 or 1. */
  #base = 0

  constructor(count: number, fire: (vector: number) => void) {
    this.count = count
    this.#fire = fire
    this.#armed = new Uint8Array(count)
    this.#pending = new Uint8Array(count)
  }

  /** Vectors together with the management vector. */
  get vectors(): number {
    return this.count + 1
  }

  /** Sets the vector of the first block. With 0 the management vector is the last, with 1 the first. */
  place(base: 0 | 1): void {
    this.#base = base
  }

  /**
   * Takes a value that the driver has written to a block's doorbell. The interval between interrupts
   * that it may name is ignored: an armed block is interrupted at once.
   */
  ring(block: number, value: number): void {
    if ((value & CLEAR_PENDING) !== 0) this.#pending[block] = 0
    if ((value & ENABLE) === 0) return
    this.#armed[block] = 1
    if (this.#pending[block] === 1) this.raise(block)
  }

  /** Interrupts the driver, now or when it arms the block. */
  raise(block: number): void {
    if (this.#armed[block] === 1) {
      this.#armed[block] = 0
      this.#pending[block] = 0
      this.#send(this.#base + block)
    } else {
      this.#pending[block] = 1
    }
  }

  /** Interrupts for the device itself: a change of its status register. It needs no arming. */
  raiseManagement(): void {
    this.#send(this.#base === 0 ? this.count : 0)
  }

  /** Disarms all blocks and forgets what is pending. */
  reset(): void {
    this.#armed.fill(0)
    this.#pending.fill(0)
    this.#base = 0
  }

  #send(vector: number): void {
    this.fired++
    this.#fire(vector)
  }
}
