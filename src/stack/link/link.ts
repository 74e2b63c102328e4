/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Interface of links, which carry frames to and from a NIC: link pairs, capture files, generators,
 * TAP interfaces. Faults and traces are links around a link. A link lives in the thread of its
 * NIC.
 */

import type { Fd } from '../../linux/sys/index.ts'
import type { FrameLayout } from '../../wire/frame-layout.ts'
import { type FrameMemory, KeptViews } from '../../wire/frame-memory.ts'

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
   * Payload bytes of each TCP segment of a large frame but the last, which may be shorter: its MSS.
   * 0 for an ordinary frame.
   *
   * A large frame stands for its segments, as between hosts that leave segmentation to hardware
   * (TSO). It has one set of headers, and a partial checksum. Its receiver may write to its memory.
   */
  segmentBytes: number
  /**
   * Parsed headers of the frame, from a link that has parsed it. Nothing else needs to parse it
   * again then.
   */
  layout?: FrameLayout | undefined
}

/**
 * Returns the bytes of a frame on a wire. Those of a large frame are the bytes of all its segments,
 * if its layout is known.
 */
export function wireBytesOf({ originalLength, segmentBytes, layout }: LinkFrame): number {
  if (segmentBytes === 0 || layout === undefined) return originalLength
  return originalLength + (segmentsOf(layout.payloadLength, segmentBytes) - 1) * layout.headerLength
}

/** Returns the number of TCP segments in `payloadLength` bytes. 1 for an ordinary frame. */
export function segmentsOf(payloadLength: number, segmentBytes: number): number {
  if (segmentBytes === 0) return 1
  // An integer for the engine, which would make garbage of all that is computed from it.
  const segments = Math.ceil(payloadLength / segmentBytes) | 0
  return segments < 1 ? 1 : segments
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
    segmentBytes: 0,
    layout: undefined,
  }
}

/** Frames that a link takes besides ordinary ones. What it does not take, the NIC makes ordinary. */
export interface LinkFeatures {
  /** Takes large frames: those with {@link LinkFrame.segmentBytes}. */
  readonly largeFrames: boolean
  /** Takes ordinary frames with partial checksums. */
  readonly partialChecksums: boolean
}

/** Features of a link that takes ordinary frames alone. */
export const ORDINARY_FRAMES: LinkFeatures = { largeFrames: false, partialChecksums: false }

/** Pieces that there is room for at first: most packets have fewer. */
const FIRST_PIECES = 64

/**
 * Pieces of a frame that lie where its sender has them. One object is used again and again, and its
 * arrays never shrink: {@link count} of their places count.
 */
export class FramePieces {
  /** Number of pieces. */
  count = 0
  /** Sum of the lengths. */
  bytes = 0
  /** Memory of each piece. */
  readonly memories: Uint8Array[] = []
  /** Offset of each piece in its memory: below 2^31. */
  offsets: Int32Array = new Int32Array(FIRST_PIECES)
  /** Length of each piece in bytes. */
  lengths: Int32Array = new Int32Array(FIRST_PIECES)
  /** Views of the memories: a new one for each piece would be garbage. */
  readonly #views = new Map<Uint8Array, KeptViews>()
  /** Views that were used last: most pieces lie in the memory of the piece before. */
  #lastMemory: Uint8Array | undefined
  #lastViews: KeptViews | undefined

  /** Makes room for `count` pieces. Those that there are stay. */
  reserve(count: number): void {
    if (count <= this.lengths.length) return
    const places = Math.max(count, 2 * this.lengths.length)
    const { offsets, lengths } = this
    this.offsets = new Int32Array(places)
    this.lengths = new Int32Array(places)
    this.offsets.set(offsets)
    this.lengths.set(lengths)
  }

  /** Adds a piece behind the others. */
  add(memory: Uint8Array, offset: number, length: number): void {
    const at = this.count
    this.reserve(at + 1)
    this.count = at + 1
    this.memories[at] = memory
    this.offsets[at] = offset
    this.lengths[at] = length
    this.bytes += length
  }

  /** Copies the pieces one behind the other to `target`, from `at` on. */
  copyTo(target: Uint8Array, at: number): void {
    let to = at
    for (let index = 0; index < this.count; index++) {
      const memory = this.memories[index]
      const length = this.lengths[index] ?? 0
      if (memory === undefined) return
      target.set(this.viewOf(memory, this.offsets[index] ?? 0, length), to)
      to += length
    }
  }

  /** Returns a view of a part of a memory, which keeps the memory alive until {@link forget}. */
  viewOf(memory: Uint8Array, offset: number, length: number): Uint8Array {
    let views = this.#lastViews
    if (memory !== this.#lastMemory || views === undefined) {
      views = this.#views.get(memory) ?? new KeptViews(memory)
      this.#views.set(memory, views)
      this.#lastMemory = memory
      this.#lastViews = views
    }
    return views.view(offset, length)
  }

  /** Drops the pieces. References to their memories stay. */
  clear(): void {
    this.count = 0
    this.bytes = 0
  }

  /** Drops the pieces, and all references to memories. */
  forget(): void {
    this.clear()
    this.memories.length = 0
    this.#views.clear()
    this.#lastMemory = this.#lastViews = undefined
  }
}

/** Takes a large frame that is not copied: as {@link Link.transmitPieces} gets it. */
export type PiecesReceiver = (head: LinkFrame, pieces: FramePieces) => boolean

/** Carries frames to a NIC and from it. */
export interface Link extends Disposable {
  /** Frames that the link takes besides ordinary ones. */
  readonly features: LinkFeatures
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
  /**
   * Sends a frame whose end was not copied: a large one if the link takes those, and any frame if it
   * takes partial checksums, too. `length` bytes of it are in the memory of `head`, among
   * them all headers, and `pieces` has the others. `originalLength` counts them all.
   *
   * A frame that was copied whole is sent with {@link transmit}, by every NIC.
   */
  readonly transmitPieces?:
    | ((head: LinkFrame, pieces: FramePieces, nowNs: number) => void)
    | undefined
  /**
   * Receiver of large frames that this end of a link gets, where they lie: its NIC sets it, and a link
   * with both ends in one thread uses it to save a copy. It returns false for a frame that the link has
   * to hold. Other links never call it.
   */
  receiver?: PiecesReceiver | undefined
  /**
   * Descriptors of which one can be read when a frame arrives, for a thread that sleeps. A link that
   * knows the time of its next frame has none.
   */
  readonly descriptors?: readonly Fd[] | undefined
  /** Closes the link and frees its memory and files. */
  close(): void
}
