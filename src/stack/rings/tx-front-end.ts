/**
 * Interface of a NIC's end of a transmit queue, where the NIC finds the pieces of packets.
 *
 * Packets are finished in the order of posting. The descriptor format decides how a driver learns of it:
 * by the number of pieces taken (the head of the ring), by the tag of each packet, or by both.
 */

import { DmaPlaces } from './dma-places.ts'

/** Last piece of its packet. */
export const TX_END_OF_PACKET = 1
/**
 * The NIC writes the packet's checksums: IPv4's, and TCP's or UDP's. The flag may stand on any
 * piece. Without it the packet is sent as it is.
 */
export const TX_CHECKSUM = 2
/** The driver wants to be told that this piece is taken. The flag may stand on any piece. */
export const TX_REPORT = 4

/** Pieces of one packet, and what its descriptors say of it. */
export class TxPieces extends DmaPlaces {
  /** Number of descriptors with data. A ring end may make one piece of those whose data touch. */
  descriptors = 0
  /** {@link TX_END_OF_PACKET} and so on of all pieces, combined by or. */
  flags = 0
  /**
   * Payload bytes of each TCP segment that the NIC is to make of the packet (TSO): 8 or more. 0: the
   * packet is one frame.
   */
  mssBytes = 0
  /** Bytes of the headers of a packet with `mssBytes`. */
  headerBytes = 0
  /** Number that the driver has given the packet. */
  tag = 0

  override add(region: number, offset: number, bytes: number): void {
    super.add(region, offset, bytes)
    this.descriptors++
  }

  /** Drops all pieces. */
  clear(): void {
    this.count = this.descriptors = this.flags = this.mssBytes = this.headerBytes = this.tag = 0
  }
}

/**
 * End of a TX queue that the NIC uses: pieces in, finished packets out. The NIC reads the pieces of a
 * packet, and takes them once it has its end.
 */
export interface TxFrontEnd {
  /**
   * True if the driver had no room for another descriptor when {@link posted} last counted. A packet
   * without an end among those can have none any more, and is dropped.
   */
  readonly full: boolean
  /** Counts the descriptors that are posted and not taken. {@link read} reads no more than these. */
  posted(): number
  /**
   * Reads the pieces of the next packet in place of those in `into`. Returns false, with the pieces
   * that there are, if its end is not posted.
   */
  read(into: TxPieces): boolean
  /**
   * Takes what was read: the NIC has read its memory, or will never read it. Returns the number of
   * descriptors.
   */
  take(): number
  /** Puts what was read and not taken back: it is read anew. */
  rewind(): void
  /** Tells the driver that all taken pieces are finished, because one had {@link TX_REPORT}. */
  completeHead?(): void
  /** Finishes the packet of that tag, sent or dropped. All of its pieces are taken. */
  complete?(tag: number): void
  /** Makes what is finished visible to the driver, and interrupts it if it asked for that. */
  flush(): void
}
