/**
 * Interface of a NIC's end of a transmit queue, where the NIC finds the pieces of packets. Pieces
 * are finished in the order of posting, so taking them completes them.
 */

/** Last piece of its packet. */
export const TX_END_OF_PACKET = 1
/**
 * The NIC writes the packet's checksums: IPv4's, and TCP's or UDP's. The flag may stand on any
 * piece. Without it the packet is sent as it is.
 */
export const TX_CHECKSUM = 2

/** Piece of a packet, by DMA address. One object is used again and again. */
export interface TxPiece {
  region: number
  offset: number
  bytes: number
  flags: number
}

export interface TxFrontEnd {
  /** Number of pieces that are posted and not taken. */
  posted(): number
  /** Reads the posted piece `ahead` places behind the next one. Returns false if there is none. */
  peek(ahead: number, into: TxPiece): boolean
  /** Takes the next `count` pieces: the NIC has read their memory, or will never read it. */
  take(count: number): void
  /** Makes taken pieces visible to the driver, and interrupts it if it asked for that. */
  flush(): void
}
