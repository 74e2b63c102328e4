/**
 * Interface of links, which carry frames to and from a NIC: link pairs, capture files, generators,
 * later a TAP device. Faults and traces are links around a link. A link lives in the thread of its
 * NIC.
 */

import type { FrameLayout } from '../../wire/frame-layout.ts'
import type { FrameMemory } from '../../wire/frame-memory.ts'

/**
 * One frame of a link. It is valid until the next call of `receive`, and one object is used for all
 * frames.
 */
export interface LinkFrame {
  /** Memory that the frame is in. */
  memory: FrameMemory
  /** Offset in `memory` of the Ethernet header. */
  offset: number
  /** Bytes of the frame in `memory`. */
  length: number
  /** Bytes of the frame as it was sent. They are more than `length` if a capture was cut. */
  originalLength: number
  /** Time of its arrival, in ns of the link's own clock, which starts at 0. */
  timeNs: number
  /**
   * `partial` if its TCP or UDP checksum covers the pseudo-header alone, as between hosts that
   * leave the rest to hardware (CHECKSUM_PARTIAL). A NIC takes it as verified.
   */
  checksum: 'complete' | 'partial'
  /**
   * Parsed headers of the frame, from a link that has parsed it. Nothing else needs to parse it
   * again then.
   */
  layout?: FrameLayout | undefined
}

/** Returns a frame without bytes, for a link to hand out over and over. */
export function emptyFrame(memory: FrameMemory): LinkFrame {
  return {
    memory,
    offset: 0,
    length: 0,
    originalLength: 0,
    timeNs: 0,
    checksum: 'complete',
    layout: undefined,
  }
}

/** Carries frames to a NIC and from it. */
export interface Link {
  /** Returns the next frame that has arrived by `nowNs`. `undefined` without one. */
  receive(nowNs: number): LinkFrame | undefined
  /**
   * Returns the time at which the next frame arrives, which may be past. `Infinity` without one on
   * its way.
   */
  nextAtNs(): number
  /** True once no frame will ever arrive again. */
  readonly ended: boolean
  /** Sends a frame, which the caller may reuse when this returns. */
  transmit(frame: LinkFrame, nowNs: number): void
  /** Closes the link and frees its memory and files. */
  close(): void
}
