/**
 * What carries frames to and from a NIC: an in-memory wire, a capture file, later a TAP device.
 * A fault injector is a link around a link. A link lives in the thread of its NIC.
 */

import type { FrameLayout } from '../../wire/frame-layout.ts'
import type { FrameMemory } from '../../wire/frame-memory.ts'

/** One frame as a link hands it over: valid until the next call of `receive`, and one object used for all. */
export interface LinkFrame {
  memory: FrameMemory
  /** Where in `memory` the Ethernet header begins. */
  offset: number
  /** Bytes that are there. */
  length: number
  /** Bytes that were on the wire: more than `length` where a capture was cut. */
  originalLength: number
  /** When it arrived, in ns of the link's own clock, which starts at 0. */
  timeNs: number
  /**
   * `partial` when its TCP or UDP checksum covers the pseudo-header alone, as between hosts that
   * leave the rest to hardware (CHECKSUM_PARTIAL): a NIC takes it as verified.
   */
  checksum: 'complete' | 'partial'
  /** Parsed headers, from a link that has parsed the frame: nothing else need parse it again. */
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
  /** The next frame that has arrived by `nowNs`; `undefined` while there is none. */
  receive(nowNs: number): LinkFrame | undefined
  /** When the next frame arrives, which may be in the past; `Infinity` when none is on its way. */
  nextAtNs(): number
  /** Whether no frame will ever arrive again. */
  readonly ended: boolean
  /** Sends a frame; it is the caller's again when this returns. */
  transmit(frame: LinkFrame, nowNs: number): void
  /** Frees what it holds. */
  close(): void
}
