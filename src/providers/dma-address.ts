/** Addresses by which a device names memory. The host's drivers pass them on and cannot read behind them. */

/** A place in a device's address space: a region that was mapped for it, and an offset into it. */
export interface DmaAddress {
  /** 0 to 2^31 − 1. */
  readonly region: number
  /** Bytes from the region's start: 0 to 2^31 − 1. */
  readonly offset: number
}

/** One entry of a scatter list. */
export interface DmaSegment {
  /** Place of its first byte. */
  readonly address: DmaAddress
  /** Length in bytes. */
  readonly bytes: number
}
