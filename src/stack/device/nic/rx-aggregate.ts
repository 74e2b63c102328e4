/**
 * Receive coalescing: consecutive TCP segments in one buffer, as one packet (hardware GRO). Linux,
 * Documentation/networking/segmentation-offloads.rst, lists the segments that may be merged.
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
import { RxCompletion } from '../../rings/rx-front-end.ts'

/** NOP, NOP and timestamps of 10 bytes: the one option that may differ (RFC 7323, appendix A). */
const TIMESTAMPS = 0x0101_080a
const TIMESTAMPS_BYTES = 12

/** True if a TCP segment may be merged with others. */
export function isMergeable(layout: FrameLayout): boolean {
  return layout.payloadLength > 0 && (layout.tcpFlags & ~PSH) === ACK
}

/** The packet under construction. A queue uses one object for all of its packets. */
export class RxAggregate {
  /** Completion of the packet. */
  readonly completion: RxCompletion = new RxCompletion()
  open = false
  #headers: Uint8Array = new Uint8Array(0)
  /** Offset of the Ethernet header in `#headers`. */
  #at = 0
  #headerLength = 0
  #ipOffset = 0
  #l4Offset = 0
  #ipVersion = 0
  /** Length of the whole packet as the IP header states it. */
  #ipBytes = 0
  #nextSeq = 0
  #ack = 0
  #window = 0
  #flags = 0
  /** Memory of the payload. The next segment goes to `#end`, and the buffer ends at `#limit`. */
  #payload: Uint8Array = this.#headers
  #end = 0
  #limit = 0

  /** Begins with a segment that has been written. The caller fills in the completion. */
  begin(
    layout: FrameLayout,
    headers: Uint8Array,
    at: number,
    payload: Uint8Array,
    end: number,
    limit: number,
  ): void {
    this.open = true
    this.#headers = headers
    this.#at = at
    this.#headerLength = layout.headerLength
    this.#ipOffset = layout.ipOffset
    this.#l4Offset = layout.l4Offset
    this.#ipVersion = layout.ipVersion
    this.#ipBytes = layout.headerLength - layout.ipOffset + layout.payloadLength
    if (layout.ipVersion === 6) this.#ipBytes -= IPV6_HEADER_BYTES
    this.#nextSeq = (layout.seq + layout.payloadLength) | 0
    this.#ack = layout.ack
    this.#window = layout.window
    this.#flags = layout.tcpFlags
    this.#payload = payload
    this.#end = end
    this.#limit = limit
  }

  /**
   * Returns the place in {@link memory} for the payload of a mergeable segment; −1 if it does not
   * continue this packet.
   */
  place(bytes: Uint8Array, offset: number, layout: FrameLayout): number {
    const { payloadLength } = layout
    const fits =
      (layout.seq | 0) === this.#nextSeq &&
      this.#end + payloadLength <= this.#limit &&
      this.#ipBytes + payloadLength <= MAX_IP_BYTES &&
      ((layout.ack - this.#ack) | 0) >= 0 &&
      this.#sameHeaders(bytes, offset, layout)
    return fits ? this.#end : -1
  }

  get memory(): Uint8Array {
    return this.#payload
  }

  /** Bytes of the packet with its single set of headers. */
  get bytes(): number {
    const ipHeader = this.#ipVersion === 6 ? IPV6_HEADER_BYTES : 0
    return this.#ipOffset + ipHeader + this.#ipBytes
  }

  /** Bytes of its segments, each with its own headers. */
  get wireBytes(): number {
    return this.bytes + (this.completion.segments - 1) * this.#headerLength
  }

  /**
   * Adds the segment that was written where {@link place} said. Returns false after the last one.
   */
  append(layout: FrameLayout): boolean {
    const { payloadLength } = layout
    this.#end += payloadLength
    this.#ipBytes += payloadLength
    this.#nextSeq = (this.#nextSeq + payloadLength) | 0
    this.#ack = layout.ack
    this.#window = layout.window
    this.#flags |= layout.tcpFlags
    this.completion.bytes += payloadLength
    this.completion.segments++
    return (layout.tcpFlags & PSH) === 0
  }

  /** Ends the packet: its completion is ready. */
  close(): void {
    this.open = false
    if (this.completion.segments > 1) this.#writeHeaders()
    this.#headers = this.#payload = NOTHING
  }

  /**
   * True if a segment's headers differ only where merging allows: IP length, id and checksum, TCP
   * sequence, acknowledgement, window, checksum, urgent pointer, PSH and timestamps.
   */
  #sameHeaders(bytes: Uint8Array, offset: number, layout: FrameLayout): boolean {
    const ip = this.#ipOffset
    const l4 = this.#l4Offset
    const end = this.#headerLength
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
      return getInt32(this.#headers, this.#at + options) === TIMESTAMPS
    }
    return this.#same(bytes, offset, options, end)
  }

  #same(bytes: Uint8Array, offset: number, from: number, to: number): boolean {
    const headers = this.#headers
    const at = this.#at
    for (let index = from; index < to; index++) {
      if (headers[at + index] !== bytes[offset + index]) return false
    }
    return true
  }

  #writeHeaders(): void {
    const headers = this.#headers
    const ip = this.#at + this.#ipOffset
    const l4 = this.#at + this.#l4Offset
    if (this.#ipVersion === 4) {
      setUint16(headers, ip + IPV4_TOTAL_BYTES, this.#ipBytes)
      setUint16(headers, ip + IPV4_CHECKSUM, 0)
      setUint16(headers, ip + IPV4_CHECKSUM, ~sumBytes(headers, ip, l4 - ip))
    } else {
      setUint16(headers, ip + IPV6_PAYLOAD_BYTES, this.#ipBytes)
    }
    setInt32(headers, l4 + TCP_ACK, this.#ack)
    headers[l4 + TCP_FLAGS] = this.#flags
    setUint16(headers, l4 + TCP_WINDOW, this.#window)
  }
}

const NOTHING = new Uint8Array(0)
