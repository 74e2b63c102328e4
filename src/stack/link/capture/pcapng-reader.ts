/** Reads pcapng files (draft-ietf-opsawg-pcapng): sections of either byte order, each with interfaces and packets. */

import type { LinkFrame } from '../link.ts'
import { captureError } from './capture-error.ts'
import type { CaptureWindow } from './capture-window.ts'
import { LINK_TYPE_ETHERNET, linkTypeMessage, PacketReader } from './packet-reader.ts'
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

/** Interfaces of a section at most. */
const MAX_INTERFACES = 4096
/** A section header: block header, byte order, versions, section length. */
const SECTION_BYTES = 24

/** Content of a block: a packet, another one, or the end of the file. */
type Found = 'packet' | 'other' | 'end'

interface Interface {
  readonly linkType: number
  /** Bytes kept of each packet. 0 is no limit. */
  readonly snapBytes: number
  readonly clock: InterfaceClock
}

export class PcapngReader extends PacketReader {
  readonly #window: CaptureWindow
  readonly #origin: TimeOrigin = { ns: undefined }
  #interfaces: Interface[] = []
  #timeNs = 0
  /** An interface of any section is Ethernet. */
  #hasEthernet = false
  /** Place in the file, and link type, of the first skipped packet. */
  #firstOther: { readonly offset: number; readonly linkType: number } | undefined
  /** The block begun, whose end has yet to be passed: its place in the file, and its length. 0 is no block. */
  #blockOffset = 0
  #blockBytes = 0

  /** Throws NETMEM_CAPTURE_INVALID for a file without room for a section header. */
  constructor(window: CaptureWindow) {
    super()
    this.#window = window
    if (!window.has(SECTION_BYTES)) {
      throw captureError(0, `a section header has ${SECTION_BYTES} bytes or more, the file fewer.`)
    }
  }

  next(into: LinkFrame): boolean {
    for (;;) {
      const hasBlock = this.#passBlock() && this.#window.has(BLOCK_OVERHEAD)
      const found = hasBlock ? this.#readBlock(into) : 'end'
      if (found === 'packet') return true
      if (found === 'end') return this.#end()
    }
  }

  /** Reads the block at the reading position, which stays there. */
  #readBlock(into: LinkFrame): Found {
    const type = this.#window.u32(0)
    if (type === SECTION_HEADER) return this.#beginSection()
    this.#begin()
    switch (type) {
      case ENHANCED_PACKET:
      case PACKET:
        return this.#readPacket(type, into)
      case SIMPLE_PACKET:
        return this.#readSimplePacket(into)
      case INTERFACE_DESCRIPTION:
        return this.#readInterface()
      default:
        return 'other'
    }
  }

  /** An enhanced packet, or its obsolete forerunner with a shorter interface number. */
  #readPacket(type: number, into: LinkFrame): Found {
    const window = this.#window
    if (!this.#has(ENHANCED_HEADER, 0)) return 'end'
    const { linkType, clock } = this.#interface(type === PACKET ? window.u16(8) : window.u32(8))
    if (linkType !== LINK_TYPE_ETHERNET) return this.#skip(linkType)
    this.#timeNs = clock.toNs(window.u32(12), window.u32(16), this.#origin)
    return this.#give(into, ENHANCED_HEADER, window.u32(20), window.u32(24))
  }

  /** Has no time, so the packet before it gives the time. */
  #readSimplePacket(into: LinkFrame): Found {
    if (!this.#has(SIMPLE_HEADER, 0)) return 'end'
    const originalLength = this.#window.u32(8)
    const { snapBytes, linkType } = this.#interface(0)
    if (linkType !== LINK_TYPE_ETHERNET) return this.#skip(linkType)
    const length = snapBytes === 0 ? originalLength : Math.min(snapBytes, originalLength)
    return this.#give(into, SIMPLE_HEADER, length, originalLength)
  }

  /** Leaves a packet of another link type in its block, which is passed over. */
  #skip(linkType: number): Found {
    this.otherLinkPackets++
    this.#firstOther ??= { offset: this.#blockOffset, linkType }
    return 'other'
  }

  #give(into: LinkFrame, header: number, length: number, originalLength: number): Found {
    if (!this.#has(header, length)) return 'end'
    into.offset = this.#window.at + header
    into.length = length
    into.originalLength = Math.max(length, originalLength)
    into.timeNs = this.#timeNs
    return 'packet'
  }

  #readInterface(): Found {
    const window = this.#window
    if (this.#blockBytes < BLOCK_OVERHEAD + 8 || this.#blockBytes > window.largestPacket) {
      throw this.#invalid(`an interface description of ${this.#blockBytes} bytes`)
    }
    if (this.#interfaces.length === MAX_INTERFACES) {
      throw this.#invalid(`more than ${MAX_INTERFACES} interfaces in a section`)
    }
    if (!window.has(this.#blockBytes)) return 'end'
    const end = this.#blockBytes - 4
    let tsresol = 6
    let offsetSeconds = 0n
    for (let option = 16; option + 4 <= end; ) {
      const code = window.u16(option)
      const length = window.u16(option + 2)
      if (code === OPT_END) break
      const value = option + 4
      if (value + length > end) throw this.#invalid('an option that goes beyond its block')
      if (code === IF_TSRESOL && length >= 1) tsresol = window.bytes[window.at + value] ?? 6
      if (code === IF_TSOFFSET && length >= 8) offsetSeconds = window.i64(value)
      option = value + ((length + 3) & ~3)
    }
    const linkType = window.u16(8)
    if (linkType === LINK_TYPE_ETHERNET) this.#hasEthernet = true
    const clock = new InterfaceClock(tsresol, offsetSeconds)
    this.#interfaces.push({ linkType, snapBytes: window.u32(12), clock })
    return 'other'
  }

  /** The interface a packet names. */
  #interface(id: number): Interface {
    const found = this.#interfaces[id]
    if (found === undefined) {
      throw this.#invalid(`a packet of interface ${id}, of ${this.#interfaces.length}`)
    }
    return found
  }

  #beginSection(): Found {
    const window = this.#window
    if (!window.has(SECTION_BYTES)) return 'end'
    // Its length is in the byte order that the next field shows.
    window.little = true
    if (window.u32(8) !== BYTE_ORDER_MAGIC) window.little = false
    if (window.u32(8) !== BYTE_ORDER_MAGIC) {
      throw captureError(window.fileOffset + 8, 'a section without the byte-order magic.')
    }
    const major = window.u16(12)
    if (major !== 1) {
      throw captureError(window.fileOffset + 12, `pcapng version ${major} is not known, only 1.`)
    }
    this.#begin()
    if (this.#blockBytes < SECTION_BYTES + 4) {
      throw this.#invalid(`a section header of ${this.#blockBytes} bytes`)
    }
    this.#interfaces = []
    return 'other'
  }

  /** Takes note of the block at the reading position. */
  #begin(): void {
    this.#blockOffset = this.#window.fileOffset
    this.#blockBytes = this.#window.u32(4)
    if (this.#blockBytes < BLOCK_OVERHEAD || this.#blockBytes % 4 !== 0) {
      throw this.#invalid(`a block of ${this.#blockBytes} bytes`)
    }
  }

  /** Goes behind the block begun, whose last field repeats its length. */
  #passBlock(): boolean {
    if (this.#blockBytes === 0) return true
    const window = this.#window
    if (!window.advance(this.#blockBytes - 4) || !window.has(4)) return false
    const repeated = window.u32(0)
    if (repeated !== this.#blockBytes) {
      throw this.#invalid(`a block of ${this.#blockBytes} bytes that ends as one of ${repeated}`)
    }
    this.#blockBytes = 0
    window.at += 4
    return true
  }

  /** Reads a packet's header and `length` bytes behind it. Returns false if the file ends before. */
  #has(header: number, length: number): boolean {
    const { largestPacket } = this.#window
    if (length > largestPacket) {
      throw this.#invalid(`a packet of ${length} bytes; at most ${largestPacket} are accepted`)
    }
    if (header + length + 4 > this.#blockBytes) {
      throw this.#invalid(`a packet of ${length} bytes in a block of ${this.#blockBytes}`)
    }
    return this.#window.has(header + length)
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
    this.truncated = this.#blockBytes > 0 || !this.#window.atEnd
    return false
  }
}
