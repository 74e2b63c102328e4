/**
 * Receive coalescing: TCP segments that follow each other in one buffer, as one packet (hardware
 * GRO; Linux, Documentation/networking/segmentation-offloads.rst tells what may be merged).
 *
 * What is merged looks like one longer segment: the first one's headers, with the last one's
 * acknowledgement number, window and PSH, the length of all, and a correct IPv4 header checksum.
 * Its TCP checksum is the first segment's and means nothing: only segments whose checksums are
 * right are merged, and the completion says so.
 */

import { getInt32, setInt32, setUint16 } from '../../../wire/bytes.ts'
import { sumBytes } from '../../../wire/checksum.ts'
import type { FrameLayout } from '../../../wire/frame-layout.ts'
import { ACK, PSH } from '../../../wire/tcp.ts'
import { RxCompletion } from '../../rings/rx-front-end.ts'

/** An IP packet's length is a field of 16 bits. */
const MAX_IP_BYTES = 0xffff
/** NOP, NOP, timestamps of 10 bytes: the one option that may differ (RFC 7323, appendix A). */
const TIMESTAMPS = 0x0101_080a
const TIMESTAMPS_BYTES = 12

/** Whether a TCP segment may be merged with others, if those allow it. */
export function isMergeable(layout: FrameLayout): boolean {
  return layout.payloadLength > 0 && (layout.tcpFlags & ~PSH) === ACK
}

/** One that is being built; one object for all of a queue's. */
export class RxAggregate {
  /** What it will be completed with. */
  readonly completion: RxCompletion = new RxCompletion()
  open = false
  #headers: Uint8Array = new Uint8Array(0)
  /** Where in `#headers` its Ethernet header begins. */
  #at = 0
  #headerLength = 0
  #ipOffset = 0
  #l4Offset = 0
  #ipVersion = 0
  /** What the IP header's length field says for all of it. */
  #ipBytes = 0
  #nextSeq = 0
  #ack = 0
  #window = 0
  #flags = 0
  /** Where the next segment's payload goes, and where the buffer ends. */
  #payload: Uint8Array = this.#headers
  #end = 0
  #limit = 0

  /** Begins with a segment that has been written; its completion is filled in by the caller. */
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
    if (layout.ipVersion === 6) this.#ipBytes -= 40
    this.#nextSeq = (layout.seq + layout.payloadLength) | 0
    this.#ack = layout.ack
    this.#window = layout.window
    this.#flags = layout.tcpFlags
    this.#payload = payload
    this.#end = end
    this.#limit = limit
  }

  /**
   * Where the payload of a mergeable segment has to be written; −1 when it does not belong here.
   * {@link memory} is the memory it has to be written to.
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

  /** Bytes of the packet, with one set of headers. */
  get bytes(): number {
    const ipHeader = this.#ipVersion === 6 ? 40 : 0
    return this.#ipOffset + ipHeader + this.#ipBytes
  }

  /** Bytes of its segments on the wire. */
  get wireBytes(): number {
    return this.bytes + (this.completion.segments - 1) * this.#headerLength
  }

  /** Takes in the segment that was written where {@link place} said; false when it was the last. */
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

  /** Ends it: the completion is ready. */
  close(): void {
    this.open = false
    if (this.completion.segments > 1) this.#writeHeaders()
    this.#headers = this.#payload = NOTHING
  }

  /** What may differ: the IP packet's length, id and checksum; TCP's sequence, acknowledgement, window, checksum, urgent pointer, PSH and timestamps. */
  #sameHeaders(bytes: Uint8Array, offset: number, layout: FrameLayout): boolean {
    const ip = this.#ipOffset
    const l4 = this.#l4Offset
    const end = this.#headerLength
    if (layout.headerLength !== end || layout.ipOffset !== ip || layout.l4Offset !== l4) {
      return false
    }
    // Ports and addresses differ first, the rest of one flow hardly ever does.
    if (this.#ipVersion === 4) {
      if (!this.#same(bytes, offset, ip + 12, l4 + 4)) return false
      if (!this.#same(bytes, offset, 0, ip + 2)) return false
      if (!this.#same(bytes, offset, ip + 6, ip + 10)) return false
    } else {
      if (!this.#same(bytes, offset, ip + 6, l4 + 4)) return false
      if (!this.#same(bytes, offset, 0, ip + 4)) return false
    }
    const options = l4 + 20
    if (!this.#same(bytes, offset, l4 + 12, l4 + 13)) return false
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
      setUint16(headers, ip + 2, this.#ipBytes)
      setUint16(headers, ip + 10, 0)
      setUint16(headers, ip + 10, ~sumBytes(headers, ip, l4 - ip))
    } else {
      setUint16(headers, ip + 4, this.#ipBytes)
    }
    setInt32(headers, l4 + 8, this.#ack)
    headers[l4 + 13] = this.#flags
    setUint16(headers, l4 + 14, this.#window)
  }
}

const NOTHING = new Uint8Array(0)
