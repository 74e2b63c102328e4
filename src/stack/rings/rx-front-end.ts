/**
 * What stands between the NIC and a driver: where the NIC finds posted buffers and leaves what it
 * received. The NIC's core knows nothing else of a driver. `shared-rings.ts` is the front end for
 * drivers in another thread; a foreign driver's descriptor format would be another.
 */

/** A posted buffer, by DMA address; one object used again and again. */
export interface PostedBuffer {
  /** The driver's number for it: 0 or more. */
  id: number
  region: number
  offset: number
  bytes: number
}

// Flags of a completion. A packet of several buffers has one completion for each, in order.

/**
 * Headers are in the header buffer, and none of them in the posted buffers. Ethernet padding is not
 * delivered then; without this flag the whole frame is in the posted buffers, padding included.
 */
export const RX_SPLIT = 1
/** The NIC has verified the checksums. */
export const RX_CHECKSUM_OK = 2
/** Of the packet's last buffer, which may be its first. */
export const RX_END_OF_PACKET = 4
/** Of a later buffer of a packet that did not fit in one. */
export const RX_CONTINUES = 8
/** The NIC has verified the checksums, and one is wrong. */
export const RX_CHECKSUM_BAD = 16

/** What the NIC says of one buffer that it filled, or of a packet that needed none. */
export class RxCompletion {
  /** The posted buffer; −1 when all of the packet is in the header buffer. */
  id = -1
  /** Where in the buffer the data begins. */
  offset = 0
  /** Bytes in the buffer. */
  bytes = 0
  /** Bytes in this completion's header buffer; 0 when nothing is there. */
  headerBytes = 0
  flags = 0
  /** RSS hash of the flow, as signed 32-bit; 0 without one. */
  hash = 0
  /**
   * TCP segments that were coalesced into it: 1 for an ordinary frame. Of several, the headers are
   * the first one's, with the length of all and the last one's acknowledgement number, window and
   * PSH; the TCP checksum in them means nothing.
   */
  segments = 1
}

/** End of an RX queue that the NIC uses: posted buffers in, completions out. */
export interface RxFrontEnd {
  /** Buffers that are posted and not taken. */
  posted(): number
  /** Reads the posted buffer `ahead` places behind the next one; false where there is none. */
  peek(ahead: number, into: PostedBuffer): boolean
  /** Takes the next `count` posted buffers for good. */
  take(count: number): void
  /** Completions that there is room for. */
  room(): number
  /** Where the header buffer of the completion `ahead` places behind the next one is; `region` −1 if there is none. `id` is not used. */
  headerBuffer(ahead: number, into: PostedBuffer): void
  /** Leaves a completion for the driver, not yet visible to it. */
  complete(completion: RxCompletion): void
  /** Makes all completions visible to the driver, and interrupts it if it asked for that. */
  flush(): void
}
