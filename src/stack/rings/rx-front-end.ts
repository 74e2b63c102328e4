/**
 * Interface of a NIC's end of a receive queue. The NIC finds posted buffers there, and leaves
 * completions.
 *
 * `shared-rings.ts` implements it for drivers in another thread. A driver with another descriptor
 * format would implement it anew.
 */

import type { FrameKind } from '../../wire/frame-layout.ts'
import { DmaPlaces, longer } from './dma-places.ts'

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

/** Posted buffers that one packet fills. */
export class PostedBuffers extends DmaPlaces {
  /** Number that the driver has given it, by buffer. */
  ids: Int32Array = new Int32Array(this.lengths.length)

  override reserve(count: number): void {
    super.reserve(count)
    if (count > this.ids.length) this.ids = longer(this.ids, this.lengths.length)
  }
}

// Flags of a completion. A packet of several buffers has one completion for each, in order.

/**
 * All headers are in the header buffer, and the posted buffers have no headers. Ethernet padding is not
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
/** The NIC has verified the checksums. The IPv4 header's checksum is wrong. */
export const RX_IP_CHECKSUM_BAD = 16
/** The NIC has verified the checksums. The checksum of TCP or UDP is wrong. */
export const RX_L4_CHECKSUM_BAD = 32
/** One of the two checksums is wrong. */
export const RX_CHECKSUM_BAD: number = RX_IP_CHECKSUM_BAD | RX_L4_CHECKSUM_BAD
/** The queue splits headers, and these were larger than the header buffer. */
export const RX_HEADER_OVERFLOW = 64
/**
 * The NIC could not write to the buffer or its header buffer: it is in no memory that is mapped.
 * The completion gives the buffer back without data, and is no part of a packet.
 */
export const RX_FAULT = 128

/**
 * Returns the `packetType` of a completion.
 *
 * @param kind value of {@link FrameKind}.
 * @param ipVersion 4, 6, or 0 without IP.
 */
export function packetTypeOf(kind: number, ipVersion: number): number {
  return (ipVersion << 3) | kind
}

/** Returns the value of {@link FrameKind} in a `packetType`. */
export function kindOfPacketType(packetType: number): number {
  return packetType & 7
}

/** Returns the IP version in a `packetType`: 4, 6, or 0 without IP. */
export function ipVersionOfPacketType(packetType: number): number {
  return packetType >> 3
}

/** Completion of one buffer, or of a packet that needed no buffer. */
export class RxCompletion {
  /** Number of the posted buffer. −1 when the whole packet is in the header buffer. */
  id = -1
  /** Offset of the data in the buffer. */
  offset = 0
  /** Bytes in the buffer. */
  bytes = 0
  /** Bytes in this completion's header buffer. 0 when it is empty. */
  headerBytes = 0
  /** {@link RX_SPLIT} and so on, combined by or. */
  flags = 0
  /** Kind of the frame and version of IP, as {@link packetTypeOf} makes it. */
  packetType = 0
  /** RSS hash of the flow, as signed 32-bit. 0 without a hash. */
  hash = 0
  /**
   * Number of TCP segments coalesced into the packet: 1 for an ordinary frame.
   *
   * A coalesced packet has the headers of its first segment, with the length of all segments.
   * Acknowledgement number, window and PSH come from the last segment. The TCP checksum is not valid.
   */
  segments = 1
  /**
   * Payload bytes of each segment of a coalesced packet but the last, which may be shorter: its MSS.
   * 0 for an ordinary frame.
   */
  segmentBytes = 0
}

/** End of an RX queue that the NIC uses: posted buffers in, completions out. */
export interface RxFrontEnd {
  /**
   * True if a packet that is in the header buffer whole takes a posted buffer, too, of which it
   * uses 0 bytes. Without it such a packet has a completion without a buffer.
   */
  readonly everyPacketTakesABuffer: boolean
  /** True if data always begins at the start of a buffer. Otherwise the NIC may skip up to 7 bytes. */
  readonly noOffset: boolean
  /** Number of buffers that are posted and not taken. */
  posted(): number
  /**
   * Reads the posted buffer `ahead` places behind the next one. Returns false if there is none.
   */
  peek(ahead: number, into: PostedBuffer): boolean
  /**
   * Reads as many of the next posted buffers as `bytes` bytes fill, in place of those in `into`. Returns
   * false if they are not posted. For large packets: a call of {@link peek} for each takes longer.
   *
   * A ring end with {@link noOffset} may have this and {@link completeAll}. Other ring ends get no large
   * packet that its sender has left in pieces.
   */
  peekAll?(bytes: number, into: PostedBuffers): boolean
  /** Takes the next `count` posted buffers for good. */
  take(count: number): void
  /** Number of completions that there is room for. */
  room(): number
  /**
   * Describes the header buffer of the next packet in `into`, besides its `id`. Its region is −1 without header buffers.
   *
   * The header buffer belongs to the next posted buffer, or to the next completion where packets need no
   * buffer. The NIC asks before it takes the first buffer of a packet, and completes packets in the order
   * of taking.
   */
  headerBuffer(into: PostedBuffer): void
  /** Leaves a completion for the driver, not yet visible to it. */
  complete(completion: RxCompletion): void
  /**
   * Leaves the completions of a packet that fills `buffers` with `bytes` bytes, in order.
   *
   * @param completion completion of the first one, of which the ring end sets what differs by buffer.
   */
  completeAll?(completion: RxCompletion, buffers: PostedBuffers, bytes: number): void
  /** Makes all completions visible to the driver, and interrupts it if it asked for that. */
  flush(): void
}
