/** Reads pcap files (draft-ietf-opsawg-pcap): in either byte order, with times in µs or ns. */

import { captureError } from './capture-error.ts'
import type { CaptureWindow } from './capture-window.ts'
import {
  type CapturedPacket,
  LINK_TYPE_ETHERNET,
  linkTypeMessage,
  MAX_CAPTURED_BYTES,
  type PacketReader,
  read16,
  read32,
} from './packet-reader.ts'

const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16
const MICROSECONDS = 0xa1b2c3d4
const NANOSECONDS = 0xa1b23c4d

/** True if a file that begins with `magic`, read as big-endian, is a pcap file. */
export function isPcap(magic: number): boolean {
  return byteOrder(magic) !== undefined
}

export class PcapReader implements PacketReader {
  truncated = false
  readonly skippedBlocks = 0
  readonly otherLinkPackets = 0
  readonly #window: CaptureWindow
  readonly #little: boolean
  readonly #unitNs: number
  readonly #largest: number
  /** Time of the first packet. −1 before it. */
  #firstSeconds = -1
  #firstFraction = 0

  /** Reads the file's header, its magic number known. Throws NETMEM_CAPTURE_INVALID. */
  constructor(window: CaptureWindow) {
    this.#window = window
    this.#largest = Math.min(MAX_CAPTURED_BYTES, window.largestPiece - RECORD_HEADER_BYTES)
    if (!window.has(FILE_HEADER_BYTES)) {
      throw captureError(0, `a pcap header has ${FILE_HEADER_BYTES} bytes, and the file fewer.`)
    }
    const { bytes, at } = window
    const magic = read32(bytes, at, false)
    const little = byteOrder(magic) ?? false
    this.#little = little
    this.#unitNs = read32(bytes, at, little) === NANOSECONDS ? 1 : 1000
    const major = read16(bytes, at + 4, little)
    if (major !== 2) throw captureError(4, `pcap version ${major} is not known, only 2.`)
    // The upper 4 bits describe frame check sequences.
    const linkType = read32(bytes, at + 20, little) & 0x0fff_ffff
    if (linkType !== LINK_TYPE_ETHERNET) throw captureError(20, linkTypeMessage(linkType))
    window.at += FILE_HEADER_BYTES
  }

  next(into: CapturedPacket): boolean {
    const window = this.#window
    if (!window.has(RECORD_HEADER_BYTES)) return this.#end()
    const little = this.#little
    const { bytes } = window
    const length = read32(bytes, window.at + 8, little)
    if (length > this.#largest) {
      throw captureError(
        window.fileOffset + 8,
        `a packet of ${length} bytes; at most ${this.#largest} are accepted.`,
      )
    }
    if (!window.has(RECORD_HEADER_BYTES + length)) return this.#end()
    // The reads above may have moved it.
    const { at } = window
    const seconds = read32(bytes, at, little)
    const fraction = read32(bytes, at + 4, little)
    if (this.#firstSeconds < 0) {
      this.#firstSeconds = seconds
      this.#firstFraction = fraction
    }
    into.timeNs =
      (seconds - this.#firstSeconds) * 1e9 + (fraction - this.#firstFraction) * this.#unitNs
    into.offset = at + RECORD_HEADER_BYTES
    into.length = length
    into.originalLength = Math.max(length, read32(bytes, at + 12, little))
    window.at = at + RECORD_HEADER_BYTES + length
    return true
  }

  #end(): boolean {
    this.truncated = !this.#window.atEnd
    return false
  }
}

/** True for little-endian, `undefined` for what is no pcap file. */
function byteOrder(magic: number): boolean | undefined {
  if (magic === MICROSECONDS || magic === NANOSECONDS) return false
  return magic === 0xd4c3b2a1 || magic === 0x4d3cb2a1 ? true : undefined
}
