/**
 * Cuts a large frame into shorter ones where it lies. The headers of each segment are written in front of
 * its payload, over the payload of the segment before. So no payload is copied (Linux,
 * Documentation/networking/segmentation-offloads.rst, TSO).
 */

import { getUint16, setInt32, setUint16 } from '../../../wire/bytes.ts'
import {
  fillChecksums,
  fillIpChecksum,
  fillPartialChecksum,
} from '../../../wire/frame-checksums.ts'
import { FrameKind, FrameLayout, parseFrame } from '../../../wire/frame-layout.ts'
import type { FrameMemory } from '../../../wire/frame-memory.ts'
import { IPV4_ID, IPV4_TOTAL_BYTES } from '../../../wire/ipv4.ts'
import { IPV6_HEADER_BYTES, IPV6_PAYLOAD_BYTES } from '../../../wire/ipv6.ts'
import { CWR, FIN, PSH, TCP_FLAGS, TCP_SEQ } from '../../../wire/tcp.ts'
import { emptyFrame, type LinkFrame } from '../../link/link.ts'
import { ShortCopy } from '../../rings/short-copy.ts'

export class Segmenter {
  /** Segment that {@link next} has made. */
  readonly frame: LinkFrame
  /** Layout of that segment. */
  readonly layout: FrameLayout = new FrameLayout()
  readonly #shortCopy = new ShortCopy()
  #headers = new Uint8Array(256)
  /** The large frame, and its layout. Neither changes before its last segment is made. */
  #large: LinkFrame
  #largeLayout: FrameLayout = this.layout
  #ipId = 0
  #segmentBytes = 0
  #pieceBytes = 0
  #done = 0
  /** Payload bytes of segments that are not made yet. */
  #left = 0

  constructor(memory: FrameMemory) {
    this.frame = this.#large = emptyFrame(memory)
  }

  /**
   * Begins with a large frame of TCP, whose memory it writes to until the last segment is made.
   *
   * @param segmentBytes MSS of the frame.
   * @param pieceBytes payload bytes of each frame to make: the MSS for ordinary frames, or a multiple
   * of it for frames that are large, too.
   */
  begin(frame: LinkFrame, layout: FrameLayout, segmentBytes: number, pieceBytes: number): void {
    const { memory, offset } = frame
    const { headerLength, ipOffset } = layout
    if (headerLength > this.#headers.length) this.#headers = new Uint8Array(headerLength)
    this.#shortCopy.copy(memory.bytes, offset, headerLength, this.#headers, 0)
    this.#large = frame
    this.#largeLayout = layout
    this.#ipId = layout.ipVersion === 4 ? getUint16(memory.bytes, offset + ipOffset + IPV4_ID) : 0
    this.#segmentBytes = segmentBytes
    this.#pieceBytes = pieceBytes
    this.#done = 0
    this.#left = layout.payloadLength
    this.frame.memory = memory
    this.frame.timeNs = frame.timeNs
    this.frame.layout = this.layout
  }

  /** True if there is a segment to make. */
  get pending(): boolean {
    return this.#left > 0
  }

  /** Makes the next segment. Call it only while there is one to make. */
  next(): void {
    const left = this.#left
    const pieceBytes = this.#pieceBytes
    const payload = left < pieceBytes ? left : pieceBytes
    const segmentBytes = this.#segmentBytes
    const { frame, layout } = this
    const { memory } = frame
    const at = this.#large.offset + this.#done
    const length = this.#largeLayout.headerLength + payload
    this.#writeHeaders(memory.bytes, at, payload, payload === left)
    frame.offset = at
    frame.length = frame.originalLength = length
    parseFrame(memory.bytes, at, length, layout)
    if (payload > segmentBytes) {
      fillIpChecksum(memory, at, layout)
      fillPartialChecksum(memory, at, layout)
      frame.checksum = 'partial'
      frame.segmentBytes = segmentBytes
    } else {
      fillChecksums(memory, at, layout)
      frame.checksum = 'complete'
      frame.segmentBytes = 0
    }
    this.#done += payload
    this.#left -= payload
  }

  #writeHeaders(bytes: Uint8Array, at: number, payload: number, isLast: boolean): void {
    const done = this.#done
    const { headerLength, ipOffset, l4Offset, ipVersion, seq, tcpFlags } = this.#largeLayout
    this.#shortCopy.copy(this.#headers, 0, headerLength, bytes, at)
    const ip = at + ipOffset
    const ipBytes = headerLength - ipOffset + payload
    if (ipVersion === 4) {
      setUint16(bytes, ip + IPV4_TOTAL_BYTES, ipBytes)
      // Each segment has the next number: receivers tell fragments apart by it (RFC 6864).
      setUint16(bytes, ip + IPV4_ID, this.#ipId + Math.floor(done / this.#segmentBytes))
    } else setUint16(bytes, ip + IPV6_PAYLOAD_BYTES, ipBytes - IPV6_HEADER_BYTES)
    const l4 = at + l4Offset
    setInt32(bytes, l4 + TCP_SEQ, (seq + done) | 0)
    let flags = tcpFlags
    if (!isLast) flags &= ~(FIN | PSH)
    if (done > 0) flags &= ~CWR
    bytes[l4 + TCP_FLAGS] = flags
  }
}

/** True if a frame of `length` bytes can be cut: a whole TCP segment, without padding. */
export function isSegmentable(layout: FrameLayout, length: number): boolean {
  const { headerLength, payloadLength } = layout
  return layout.kind === FrameKind.tcp && headerLength + payloadLength === length
}
