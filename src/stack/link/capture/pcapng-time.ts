/**
 * Times of a pcapng interface as ns from the file's first packet. Its ticks are 64-bit numbers of
 * the interface's unit. The difference to the first packet is exact as a double for captures of
 * less than 104 days in ns.
 */

/** Origin of all interfaces' times. `undefined` before the first packet. */
export interface TimeOrigin {
  ns: bigint | undefined
}

export class InterfaceClock {
  /** Ticks per second. */
  readonly #resolution: bigint
  readonly #offsetSeconds: bigint
  readonly #nsPerTick: number
  // The first packet of this interface:
  #firstHigh = -1
  #firstLow = 0
  #firstNs = 0

  /**
   * @param tsresol option if_tsresol, 6 by default.
   * @param offsetSeconds option if_tsoffset, 0 by default.
   */
  constructor(tsresol: number, offsetSeconds: bigint) {
    const exponent = tsresol & 0x7f
    this.#resolution = (tsresol & 0x80) === 0 ? 10n ** BigInt(exponent) : 2n ** BigInt(exponent)
    this.#offsetSeconds = offsetSeconds
    this.#nsPerTick = 1e9 / Number(this.#resolution)
  }

  toNs(high: number, low: number, origin: TimeOrigin): number {
    if (this.#firstHigh < 0) this.#begin(high, low, origin)
    const ticks = (high - this.#firstHigh) * 2 ** 32 + (low - this.#firstLow)
    return this.#firstNs + Math.round(ticks * this.#nsPerTick)
  }

  /** Begins an interface's clock. Once for each, so it may be slow and exact. */
  #begin(high: number, low: number, origin: TimeOrigin): void {
    this.#firstHigh = high
    this.#firstLow = low
    const ticks = (BigInt(high) << 32n) | BigInt(low)
    const ns = this.#offsetSeconds * 1_000_000_000n + (ticks * 1_000_000_000n) / this.#resolution
    origin.ns ??= ns
    this.#firstNs = Number(ns - origin.ns)
  }
}
