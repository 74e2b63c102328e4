/**
 * Receive coalescing: consecutive TCP segments as one packet, in one buffer or several (hardware
 * GRO). Linux, Documentation/networking/segmentation-offloads.rst, lists the segments that may be
 * merged. All have as much payload as the first, and the last one may have less: the packet can be
 * cut into the same segments again.
 *
 * The headers are kept here until the packet ends, so a driver that writes to its buffers before that
 * does not change the merged packet.
 *
 * A merged packet looks like one longer segment. It has the headers of its first segment, with the
 * acknowledgement number, window and PSH of its last. Its IP length and IPv4 header checksum are
 * right.
 *
 * Its TCP checksum is that of the first segment and means nothing. Only segments with right
 * checksums are merged, and the completion says so.
 */

import { getInt32, setInt32, setUint16 } from '../../../wire/bytes.ts'
import { sumBytes } from '../../../wire/checksum.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'
import { MAX_IP_BYTES } from '../../../wire/ip.ts'
import { IPV4_CHECKSUM, IPV4_SOURCE, IPV4_TOTAL_BYTES } from '../../../wire/ipv4.ts'
import { IPV6_HEADER_BYTES, IPV6_PAYLOAD_BYTES } from '../../../wire/ipv6.ts'
import {
  ACK,
  PSH,
  TCP_ACK,
  TCP_DATA_OFFSET,
  TCP_FLAGS,
  TCP_HEADER_BYTES,
  TCP_WINDOW,
} from '../../../wire/tcp.ts'
import { ShortCopy } from '../../rings/short-copy.ts'

/** NOP, NOP and timestamps of 10 bytes: the one option that may differ (RFC 7323, appendix A). */
const TIMESTAMPS = 0x0101_080a
const TIMESTAMPS_BYTES = 12

/** Buffers of a coalesced packet at most: the frags of an skb, less one (Linux, MAX_SKB_FRAGS). */
export const MAX_COALESCED_BUFFERS = 16

/** Bytes of headers that are kept. Segments with longer ones are not merged. */
const MAX_HEADER_BYTES = 256

/** True if a TCP segment may be merged with others. */
export function isMergeable(layout: FrameLayout): boolean {
  return (
    layout.payloadLength > 0 &&
    (layout.tcpFlags & ~PSH) === ACK &&
    layout.headerLength <= MAX_HEADER_BYTES
  )
}

/** The packet under construction. A queue uses one object for all of its packets. */
export class RxAggregate {
  open = false
  segments = 0
  /** Bytes of its headers. */
  headerLength = 0
  /** Payload bytes of the first segment. */
  segmentBytes = 0
  /** Headers of the first segment, with what later segments change in them. */
  readonly #headers: Uint8Array = new Uint8Array(MAX_HEADER_BYTES)
  readonly #shortCopy = new ShortCopy()
  #ipOffset = 0
  #l4Offset = 0
  #ipVersion = 0
  /** Length of the whole packet as the IP header states it. */
  #ipBytes = 0
  #nextSeq = 0

  /** Begins with a segment. */
  begin(bytes: Uint8Array, offset: number, layout: FrameLayout): void {
    const { headerLength, payloadLength } = layout
    this.open = true
    this.segments = 1
    this.segmentBytes = payloadLength
    this.#shortCopy.copy(bytes, offset, headerLength, this.#headers, 0)
    this.headerLength = headerLength
    this.#ipOffset = layout.ipOffset
    this.#l4Offset = layout.l4Offset
    this.#ipVersion = layout.ipVersion
    this.#ipBytes = headerLength - layout.ipOffset + payloadLength
    if (layout.ipVersion === 6) this.#ipBytes -= IPV6_HEADER_BYTES
    this.#nextSeq = (layout.seq + payloadLength) | 0
  }

  /** True if a mergeable segment continues this packet. */
  continues(bytes: Uint8Array, offset: number, layout: FrameLayout): boolean {
    const { payloadLength } = layout
    return (
      (layout.seq | 0) === this.#nextSeq &&
      payloadLength <= this.segmentBytes &&
      this.#ipBytes + payloadLength <= MAX_IP_BYTES &&
      ((layout.ack - getInt32(this.#headers, this.#l4Offset + TCP_ACK)) | 0) >= 0 &&
      this.#sameHeaders(bytes, offset, layout)
    )
  }

  /** Bytes of the packet with its single set of headers. */
  get bytes(): number {
    const ipHeader = this.#ipVersion === 6 ? IPV6_HEADER_BYTES : 0
    return this.#ipOffset + ipHeader + this.#ipBytes
  }

  /** Bytes of its segments, each with its own headers. */
  get wireBytes(): number {
    return this.bytes + (this.segments - 1) * this.headerLength
  }

  /** Counts a segment whose payload has been written. Returns false after the last one. */
  append(layout: FrameLayout): boolean {
    const { payloadLength } = layout
    this.#ipBytes += payloadLength
    this.#nextSeq = (this.#nextSeq + payloadLength) | 0
    const headers = this.#headers
    const l4 = this.#l4Offset
    setInt32(headers, l4 + TCP_ACK, layout.ack)
    setUint16(headers, l4 + TCP_WINDOW, layout.window)
    headers[l4 + TCP_FLAGS] = (headers[l4 + TCP_FLAGS] ?? 0) | layout.tcpFlags
    this.segments++
    return (layout.tcpFlags & PSH) === 0 && payloadLength === this.segmentBytes
  }

  /** Returns the headers of the whole packet. */
  finishHeaders(): Uint8Array {
    const headers = this.#headers
    const ip = this.#ipOffset
    if (this.#ipVersion === 4) {
      setUint16(headers, ip + IPV4_TOTAL_BYTES, this.#ipBytes)
      setUint16(headers, ip + IPV4_CHECKSUM, 0)
      setUint16(headers, ip + IPV4_CHECKSUM, ~sumBytes(headers, ip, this.#l4Offset - ip))
    } else setUint16(headers, ip + IPV6_PAYLOAD_BYTES, this.#ipBytes)
    return headers
  }

  /** Drops all references to memory. */
  forget(): void {
    this.open = false
    this.#shortCopy.forget()
  }

  /**
   * True if a segment's headers differ only where merging allows: IP length, id and checksum, TCP
   * sequence, acknowledgement, window, checksum, urgent pointer, PSH and timestamps.
   */
  #sameHeaders(bytes: Uint8Array, offset: number, layout: FrameLayout): boolean {
    const ip = this.#ipOffset
    const l4 = this.#l4Offset
    const end = this.headerLength
    if (layout.headerLength !== end || layout.ipOffset !== ip || layout.l4Offset !== l4) {
      return false
    }
    // Ports and addresses first: the other fields of a flow hardly ever differ.
    if (this.#ipVersion === 4) {
      if (!this.#same(bytes, offset, ip + IPV4_SOURCE, l4 + 4)) return false
      if (!this.#same(bytes, offset, 0, ip + IPV4_TOTAL_BYTES)) return false
      if (!this.#same(bytes, offset, ip + 6, ip + IPV4_CHECKSUM)) return false
    } else {
      if (!this.#same(bytes, offset, ip + 6, l4 + 4)) return false
      if (!this.#same(bytes, offset, 0, ip + IPV6_PAYLOAD_BYTES)) return false
    }
    const options = l4 + TCP_HEADER_BYTES
    if (!this.#same(bytes, offset, l4 + TCP_DATA_OFFSET, l4 + TCP_FLAGS)) return false
    if (end - options === TIMESTAMPS_BYTES && getInt32(bytes, offset + options) === TIMESTAMPS) {
      return getInt32(this.#headers, options) === TIMESTAMPS
    }
    return this.#same(bytes, offset, options, end)
  }

  #same(bytes: Uint8Array, offset: number, from: number, to: number): boolean {
    const headers = this.#headers
    for (let index = from; index < to; index++) {
      if (headers[index] !== bytes[offset + index]) return false
    }
    return true
  }
}
