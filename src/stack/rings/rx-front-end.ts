/**
 * Interface of a NIC's end of a receive queue. The NIC finds posted buffers there, and leaves
 * completions.
 *
 * `shared-rings.ts` implements it for drivers in another thread. A driver with another descriptor
 * format would implement it anew.
 */

/** Posted buffer, by DMA address. One object is used again and again. */
export interface PostedBuffer {
  /** Number that the driver has given it: 0 or more. */
  id: number
  /** Region of the device's address space. */
  region: number
  /** Bytes from the start of the region. */
  offset: number
  /** Length in bytes. */
  bytes: number
}

// Flags of a completion. A packet of several buffers has one completion for each, in order.

/**
 * Headers are in the header buffer, and none of them in the posted buffers. Ethernet padding is not
 * delivered then.
 *
 * Without this flag the whole frame is in the posted buffers, padding included.
 */
export const RX_SPLIT = 1
/** The NIC has verified the checksums. */
export const RX_CHECKSUM_OK = 2
/** Set for the last buffer of a packet, which may be its first. */
export const RX_END_OF_PACKET = 4
/** Set for each further buffer of a packet that did not fit in one. */
export const RX_CONTINUES = 8
/** The NIC has verified the checksums, and one of them is wrong. */
export const RX_CHECKSUM_BAD = 16

/** Completion of one buffer, or of a packet that needed no buffer. */
export class RxCompletion {
  /** Number of the posted buffer. −1 when the whole packet is in the header buffer. */
  id = -1
  /** Offset of the data in the buffer. */
  offset = 0
  /** Bytes in the buffer. */
  bytes = 0
  /** Bytes in this completion's header buffer. 0 when nothing is there. */
  headerBytes = 0
  /** {@link RX_SPLIT} and so on, combined by or. */
  flags = 0
  /** RSS hash of the flow, as signed 32-bit. 0 without a hash. */
  hash = 0
  /**
   * Number of TCP segments coalesced into the packet: 1 for an ordinary frame.
   *
   * The headers of a coalesced packet are those of its first segment, with the length of all
   * segments. Acknowledgement number, window and PSH are those of the last one. The TCP checksum in
   * them means nothing.
   */
  segments = 1
}

/** End of an RX queue that the NIC uses: posted buffers in, completions out. */
export interface RxFrontEnd {
  /** Number of buffers that are posted and not taken. */
  posted(): number
  /**
   * Reads the posted buffer `ahead` places behind the next one. Returns false if there is none.
   */
  peek(ahead: number, into: PostedBuffer): boolean
  /** Takes the next `count` posted buffers for good. */
  take(count: number): void
  /** Number of completions that there is room for. */
  room(): number
  /**
   * Describes the header buffer of the completion `ahead` places behind the next one in `into`,
   * besides its `id`. Its region is −1 without header buffers.
   */
  headerBuffer(ahead: number, into: PostedBuffer): void
  /** Leaves a completion for the driver, not yet visible to it. */
  complete(completion: RxCompletion): void
  /** Makes all completions visible to the driver, and interrupts it if it asked for that. */
  flush(): void
}
