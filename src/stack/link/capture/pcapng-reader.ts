/** Reads pcapng files (draft-ietf-opsawg-pcapng): sections of either byte order, each with interfaces and packets. */

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
import {
  BLOCK_OVERHEAD,
  BYTE_ORDER_MAGIC,
  ENHANCED_HEADER,
  ENHANCED_PACKET,
  IF_TSOFFSET,
  IF_TSRESOL,
  INTERFACE_DESCRIPTION,
  OPT_END,
  PACKET,
  SECTION_HEADER,
  SIMPLE_HEADER,
  SIMPLE_PACKET,
} from './pcapng-blocks.ts'
import { InterfaceClock, type TimeOrigin } from './pcapng-time.ts'

/** Interfaces of a section, and bytes of one's description, at most. */
const MAX_INTERFACES = 4096
const MAX_DESCRIPTION_BYTES = 64 * 1024
/** A section header: block header, byte order, versions, section length. */
const SECTION_BYTES = 24

/** Content of a packet block: a packet, one of another link type, or the end of the file. */
type Found = 'packet' | 'other' | 'end'

interface Interface {
  readonly linkType: number
  /** Bytes kept of each packet. 0 is no limit. */
  readonly snapBytes: number
  readonly clock: InterfaceClock
}

export class PcapngReader implements PacketReader {
  truncated = false
  skippedBlocks = 0
  otherLinkPackets = 0
  readonly #window: CaptureWindow
  readonly #largest: number
  readonly #largestDescription: number
  readonly #origin: TimeOrigin = { ns: undefined }
  #little = false
  #interfaces: Interface[] = []
  #timeNs = 0
  /** An interface of any section is Ethernet. */
  #hasEthernet = false
  /** Place in the file, and link type, of the first skipped packet. */
  #firstOther: { readonly offset: number; readonly linkType: number } | undefined
  /** The block begun, whose end has yet to be passed: where in the file it is, its length, and what of it is left. */
  #blockOffset = 0
  #blockBytes = 0
  #left = 0

  /** Reads the first section's header. Throws NETMEM_CAPTURE_INVALID. */
  constructor(window: CaptureWindow) {
    this.#window = window
    this.#largest = Math.min(MAX_CAPTURED_BYTES, window.largestPiece - ENHANCED_HEADER)
    this.#largestDescription = Math.min(MAX_DESCRIPTION_BYTES, window.largestPiece)
    if (!window.has(SECTION_BYTES)) {
      throw captureError(0, `a section header has ${SECTION_BYTES} bytes or more, the file fewer.`)
    }
  }

  next(into: CapturedPacket): boolean {
    for (;;) {
      if (!this.#passBlock()) return this.#end()
      const window = this.#window
      if (!window.has(BLOCK_OVERHEAD)) return this.#end()
      const type = read32(window.bytes, window.at, this.#little)
      if (type === SECTION_HEADER) {
        if (!this.#beginSection()) return this.#end()
        continue
      }
      this.#begin(read32(window.bytes, window.at + 4, this.#little))
      if (type === ENHANCED_PACKET || type === PACKET || type === SIMPLE_PACKET) {
        const found =
          type === SIMPLE_PACKET ? this.#readSimplePacket(into) : this.#readPacket(type, into)
        if (found === 'packet') return true
        if (found === 'end') return this.#end()
        continue
      }
      if (type === INTERFACE_DESCRIPTION) {
        if (!this.#readInterface()) return this.#end()
      } else this.skippedBlocks++
    }
  }

  /** An enhanced packet, or its obsolete forerunner with a shorter interface number. */
  #readPacket(type: number, into: CapturedPacket): Found {
    const window = this.#window
    this.#checkLength(0, ENHANCED_HEADER)
    if (!window.has(ENHANCED_HEADER)) return 'end'
    const little = this.#little
    const { bytes } = window
    const idAt = window.at + 8
    const from = this.#interface(
      type === PACKET ? read16(bytes, idAt, little) : read32(bytes, idAt, little),
    )
    if (from.linkType !== LINK_TYPE_ETHERNET) return this.#skip(from.linkType)
    const length = read32(bytes, window.at + 20, little)
    this.#checkLength(length, ENHANCED_HEADER)
    if (!window.has(ENHANCED_HEADER + length)) return 'end'
    const { at } = window
    this.#timeNs = from.clock.toNs(
      read32(bytes, at + 12, little),
      read32(bytes, at + 16, little),
      this.#origin,
    )
    this.#give(into, ENHANCED_HEADER, length, read32(bytes, at + 24, little))
    return 'packet'
  }

  /** Has no time, so the packet before it gives the time. */
  #readSimplePacket(into: CapturedPacket): Found {
    const window = this.#window
    this.#checkLength(0, SIMPLE_HEADER)
    if (!window.has(SIMPLE_HEADER)) return 'end'
    const originalLength = read32(window.bytes, window.at + 8, this.#little)
    const { snapBytes, linkType } = this.#interface(0)
    if (linkType !== LINK_TYPE_ETHERNET) return this.#skip(linkType)
    const length = snapBytes === 0 ? originalLength : Math.min(snapBytes, originalLength)
    this.#checkLength(length, SIMPLE_HEADER)
    if (!window.has(SIMPLE_HEADER + length)) return 'end'
    this.#give(into, SIMPLE_HEADER, length, originalLength)
    return 'packet'
  }

  /** Leaves a packet of another link type in its block, which is passed over. */
  #skip(linkType: number): Found {
    this.otherLinkPackets++
    this.#firstOther ??= { offset: this.#blockOffset, linkType }
    return 'other'
  }

  #give(into: CapturedPacket, header: number, length: number, originalLength: number): void {
    const window = this.#window
    into.offset = window.at + header
    into.length = length
    into.originalLength = Math.max(length, originalLength)
    into.timeNs = this.#timeNs
    this.#pass(header + length)
  }

  #readInterface(): boolean {
    const window = this.#window
    if (this.#blockBytes < BLOCK_OVERHEAD + 8 || this.#blockBytes > this.#largestDescription) {
      throw this.#invalid(`an interface description of ${this.#blockBytes} bytes`)
    }
    if (this.#interfaces.length === MAX_INTERFACES) {
      throw this.#invalid(`more than ${MAX_INTERFACES} interfaces in a section`)
    }
    if (!window.has(this.#blockBytes)) return false
    const little = this.#little
    const { bytes, at } = window
    const end = at + this.#blockBytes - 4
    let tsresol = 6
    let offsetSeconds = 0n
    for (let option = at + 16; option + 4 <= end; ) {
      const code = read16(bytes, option, little)
      const length = read16(bytes, option + 2, little)
      if (code === OPT_END) break
      const value = option + 4
      if (value + length > end) throw this.#invalid('an option that goes beyond its block')
      if (code === IF_TSRESOL && length >= 1) tsresol = bytes[value] ?? 6
      if (code === IF_TSOFFSET && length >= 8) {
        const high = BigInt(read32(bytes, little ? value + 4 : value, little))
        const low = BigInt(read32(bytes, little ? value : value + 4, little))
        offsetSeconds = BigInt.asIntN(64, (high << 32n) | low)
      }
      option = value + ((length + 3) & ~3)
    }
    const linkType = read16(bytes, at + 8, little)
    if (linkType === LINK_TYPE_ETHERNET) this.#hasEthernet = true
    this.#interfaces.push({
      linkType,
      snapBytes: read32(bytes, at + 12, little),
      clock: new InterfaceClock(tsresol, offsetSeconds),
    })
    return true
  }

  /** The interface a packet names. */
  #interface(id: number): Interface {
    const found = this.#interfaces[id]
    if (found === undefined) {
      throw this.#invalid(`a packet of interface ${id}, of ${this.#interfaces.length}`)
    }
    return found
  }

  #beginSection(): boolean {
    const window = this.#window
    if (!window.has(SECTION_BYTES)) return false
    const { bytes, at } = window
    // Its length is in the byte order that the next field shows.
    this.#little = read32(bytes, at + 8, true) === BYTE_ORDER_MAGIC
    if (!this.#little && read32(bytes, at + 8, false) !== BYTE_ORDER_MAGIC) {
      throw captureError(window.fileOffset + 8, 'a section without the byte-order magic.')
    }
    const major = read16(bytes, at + 12, this.#little)
    if (major !== 1) {
      throw captureError(window.fileOffset + 12, `pcapng version ${major} is not known, only 1.`)
    }
    this.#begin(read32(bytes, at + 4, this.#little))
    if (this.#blockBytes < SECTION_BYTES + 4) {
      throw this.#invalid(`a section header of ${this.#blockBytes} bytes`)
    }
    this.#interfaces = []
    return true
  }

  /** Takes note of a block that begins here. */
  #begin(blockBytes: number): void {
    this.#blockOffset = this.#window.fileOffset
    this.#blockBytes = blockBytes
    if (blockBytes < BLOCK_OVERHEAD || blockBytes % 4 !== 0) {
      throw this.#invalid(`a block of ${blockBytes} bytes`)
    }
    this.#left = blockBytes
  }

  #pass(bytes: number): void {
    this.#window.at += bytes
    this.#left -= bytes
  }

  /** Goes to the end of the block begun, where its length is repeated. */
  #passBlock(): boolean {
    if (this.#left === 0) return true
    const window = this.#window
    if (!window.skip(this.#left - 4) || !window.has(4)) return false
    const repeated = read32(window.bytes, window.at, this.#little)
    if (repeated !== this.#blockBytes) {
      throw this.#invalid(`a block of ${this.#blockBytes} bytes that ends as one of ${repeated}`)
    }
    this.#left = 0
    window.at += 4
    return true
  }

  #checkLength(length: number, header: number): void {
    if (length > this.#largest) {
      throw this.#invalid(`a packet of ${length} bytes; at most ${this.#largest} are accepted`)
    }
    if (header + length + 4 > this.#blockBytes) {
      throw this.#invalid(`a packet of ${length} bytes in a block of ${this.#blockBytes}`)
    }
  }

  #invalid(what: string): Error {
    return captureError(this.#blockOffset, `${what}.`)
  }

  /** The end of the file. Throws where all of it was of other link types. */
  #end(): boolean {
    const other = this.#firstOther
    if (other !== undefined && !this.#hasEthernet) {
      throw captureError(other.offset, linkTypeMessage(other.linkType))
    }
    this.truncated = this.#left > 0 || !this.#window.atEnd
    return false
  }
}
