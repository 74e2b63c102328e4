/**
 * What stands between the NIC and a driver that sends: where the NIC finds the pieces of packets.
 * They are finished in the order in which they were posted, so taking them is what completes them.
 */

/** The last piece of its packet. */
export const TX_END_OF_PACKET = 1
/**
 * The packet's checksums are for the NIC to write: IPv4's own, TCP's or UDP's. May stand on any
 * piece. Without it the packet is sent as it is.
 */
export const TX_CHECKSUM = 2

/** A piece of a packet, by DMA address; one object used again and again. */
export interface TxPiece {
  region: number
  offset: number
  bytes: number
  flags: number
}

export interface TxFrontEnd {
  /** Pieces that are posted and not taken. */
  posted(): number
  /** Reads the posted piece `ahead` places behind the next one; false where there is none. */
  peek(ahead: number, into: TxPiece): boolean
  /** Takes the next `count` pieces: their memory has been read, or will never be. */
  take(count: number): void
  /** Makes all that was taken visible to the driver, and interrupts it if it asked for that. */
  flush(): void
}
