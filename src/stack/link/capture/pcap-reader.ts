/** Reads pcap files (draft-ietf-opsawg-pcap): in either byte order, with times in µs or ns. */

import type { LinkFrame } from '../link.ts'
import { captureError } from './capture-error.ts'
import type { CaptureWindow } from './capture-window.ts'
import { LINK_TYPE_ETHERNET, linkTypeMessage, type PacketReader } from './packet-reader.ts'

const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16

interface PcapFormat {
  readonly little: boolean
  /** Unit of the fraction of a second. */
  readonly unitNs: number
}

/** Formats by the first four bytes of a file, read as big-endian. */
export const PCAP_FORMATS: ReadonlyMap<number, PcapFormat> = new Map([
  [0xa1b2c3d4, { little: false, unitNs: 1000 }],
  [0xa1b23c4d, { little: false, unitNs: 1 }],
  [0xd4c3b2a1, { little: true, unitNs: 1000 }],
  [0x4d3cb2a1, { little: true, unitNs: 1 }],
])

export class PcapReader implements PacketReader {
  readonly otherLinkPackets = 0
  readonly refusal = undefined
  readonly #window: CaptureWindow
  readonly #unitNs: number
  /** Time of the first packet. −1 before it. */
  #firstSeconds = -1
  #firstFraction = 0

  /** Reads the file's header. Throws NETMEM_CAPTURE_INVALID. */
  constructor(window: CaptureWindow, { little, unitNs }: PcapFormat) {
    this.#window = window
    this.#unitNs = unitNs
    window.little = little
    if (!window.has(FILE_HEADER_BYTES)) {
      throw captureError(0, `a pcap header has ${FILE_HEADER_BYTES} bytes, and the file fewer.`)
    }
    const major = window.u16(4)
    if (major !== 2) throw captureError(4, `pcap version ${major} is not known, only 2.`)
    // The upper 4 bits describe frame check sequences.
    const linkType = window.u32(20) & 0x0fff_ffff
    if (linkType !== LINK_TYPE_ETHERNET) throw captureError(20, linkTypeMessage(linkType))
    window.at += FILE_HEADER_BYTES
  }

  next(into: LinkFrame): boolean {
    const window = this.#window
    if (window.atEnd) return false
    window.need(RECORD_HEADER_BYTES)
    const length = window.u32(8)
    const { largestPacket } = window
    if (length > largestPacket) {
      throw captureError(
        window.fileOffset + 8,
        `a packet of ${length} bytes; at most ${largestPacket} are accepted.`,
      )
    }
    window.need(RECORD_HEADER_BYTES + length)
    const seconds = window.u32(0)
    const fraction = window.u32(4)
    if (this.#firstSeconds < 0) {
      this.#firstSeconds = seconds
      this.#firstFraction = fraction
    }
    into.timeNs =
      (seconds - this.#firstSeconds) * 1e9 + (fraction - this.#firstFraction) * this.#unitNs
    into.originalLength = Math.max(length, window.u32(12))
    into.length = length
    into.offset = window.at + RECORD_HEADER_BYTES
    window.at = into.offset + length
    return true
  }
}
