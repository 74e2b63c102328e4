/** Reads pcapng files (draft-ietf-opsawg-pcapng): sections of either byte order, each with interfaces and packets. */

import type { DeviceError } from '../../device-error.ts'
import type { LinkFrame } from '../link.ts'
import { captureError } from './capture-error.ts'
import type { CaptureWindow } from './capture-window.ts'
import { LINK_TYPE_ETHERNET, linkTypeMessage, type PacketReader } from './packet-reader.ts'
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

interface Interface {
  readonly linkType: number
  /** Bytes kept of each packet. 0 is no limit. */
  readonly snapBytes: number
  readonly clock: InterfaceClock
}

export class PcapngReader implements PacketReader {
  otherLinkPackets = 0
  readonly #window: CaptureWindow
  readonly #origin: TimeOrigin = { ns: undefined }
  #interfaces: Interface[] = []
  #timeNs = 0
  /** An interface of any section is Ethernet. */
  #hasEthernet = false
  /** Error about the first skipped packet, for a file without an Ethernet interface. */
  #otherLink: DeviceError | undefined
  /** Length of the block at the reading position. */
  #blockBytes = 0

  /** Throws NETMEM_CAPTURE_INVALID for a file without room for a section header. */
  constructor(window: CaptureWindow) {
    this.#window = window
    if (!window.has(SECTION_BYTES)) {
      throw captureError(0, `a section header has ${SECTION_BYTES} bytes or more, the file fewer.`)
    }
  }

  get refusal(): DeviceError | undefined {
    return this.#hasEthernet ? undefined : this.#otherLink
  }

  next(into: LinkFrame): boolean {
    while (!this.#window.atEnd) if (this.#readBlock(into)) return true
    return false
  }

  /** Reads a block, and goes behind it. Returns true if it is a packet. */
  #readBlock(into: LinkFrame): boolean {
    const window = this.#window
    window.need(BLOCK_OVERHEAD)
    const type = window.u32(0)
    // Its byte order is that of its length, too.
    if (type === SECTION_HEADER) this.#beginSection()
    const bytes = window.u32(4)
    this.#blockBytes = bytes
    const least = type === SECTION_HEADER ? SECTION_BYTES + 4 : BLOCK_OVERHEAD
    if (bytes < least || bytes % 4 !== 0) throw this.#invalid(`a block of ${bytes} bytes`)
    window.need(Math.min(bytes, ENHANCED_HEADER))
    const isPacket = this.#readContent(type, into)
    window.advance(bytes - 4)
    window.need(4)
    const repeated = window.u32(0)
    if (repeated !== bytes) {
      throw this.#invalid(`the end of a block of ${repeated} bytes, which began as one of ${bytes}`)
    }
    window.at += 4
    return isPacket
  }

  /** Reads what a block says. Its first fields are in the window. Returns true if it is a packet. */
  #readContent(type: number, into: LinkFrame): boolean {
    switch (type) {
      case ENHANCED_PACKET:
      case PACKET:
        return this.#readPacket(type, into)
      case SIMPLE_PACKET:
        return this.#readSimplePacket(into)
      case INTERFACE_DESCRIPTION:
        this.#readInterface()
        return false
      default:
        return false
    }
  }

  /** An enhanced packet, or its obsolete forerunner with a shorter interface number. */
  #readPacket(type: number, into: LinkFrame): boolean {
    const window = this.#window
    this.#checkRoom(ENHANCED_HEADER, 0)
    const { linkType, clock } = this.#interface(type === PACKET ? window.u16(8) : window.u32(8))
    if (linkType !== LINK_TYPE_ETHERNET) return this.#skip(linkType)
    this.#timeNs = clock.toNs(window.u32(12), window.u32(16), this.#origin)
    return this.#give(into, ENHANCED_HEADER, window.u32(20), window.u32(24))
  }

  /** Has no time, so the packet before it gives the time. */
  #readSimplePacket(into: LinkFrame): boolean {
    this.#checkRoom(SIMPLE_HEADER, 0)
    const originalLength = this.#window.u32(8)
    const { snapBytes, linkType } = this.#interface(0)
    if (linkType !== LINK_TYPE_ETHERNET) return this.#skip(linkType)
    const length = snapBytes === 0 ? originalLength : Math.min(snapBytes, originalLength)
    return this.#give(into, SIMPLE_HEADER, length, originalLength)
  }

  /** Counts a packet of another link type. */
  #skip(linkType: number): false {
    this.otherLinkPackets++
    this.#otherLink ??= captureError(this.#window.fileOffset, linkTypeMessage(linkType))
    return false
  }

  #give(into: LinkFrame, header: number, length: number, originalLength: number): true {
    const window = this.#window
    this.#checkRoom(header, length)
    // The packet stays in place while the rest of its block is passed.
    window.need(this.#blockBytes)
    into.offset = window.at + header
    into.length = length
    into.originalLength = Math.max(length, originalLength)
    into.timeNs = this.#timeNs
    return true
  }

  #readInterface(): void {
    const window = this.#window
    const bytes = this.#blockBytes
    if (bytes < BLOCK_OVERHEAD + 8 || bytes > window.largestPacket) {
      throw this.#invalid(`an interface description of ${bytes} bytes`)
    }
    if (this.#interfaces.length === MAX_INTERFACES) {
      throw this.#invalid(`more than ${MAX_INTERFACES} interfaces in a section`)
    }
    window.need(bytes)
    const end = bytes - 4
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
  }

  /** The interface a packet names. */
  #interface(id: number): Interface {
    const found = this.#interfaces[id]
    if (found === undefined) {
      throw this.#invalid(`a packet of interface ${id}, of ${this.#interfaces.length}`)
    }
    return found
  }

  #beginSection(): void {
    const window = this.#window
    window.need(SECTION_BYTES)
    window.little = true
    if (window.u32(8) !== BYTE_ORDER_MAGIC) window.little = false
    if (window.u32(8) !== BYTE_ORDER_MAGIC) {
      throw this.#invalid('a section without the byte-order magic')
    }
    const major = window.u16(12)
    if (major !== 1) throw this.#invalid(`pcapng version ${major} is not known, only 1`)
    this.#interfaces = []
  }

  /** Checks that the block has room for a packet's header and `length` bytes behind it. */
  #checkRoom(header: number, length: number): void {
    const { largestPacket } = this.#window
    if (length > largestPacket) {
      throw this.#invalid(`a packet of ${length} bytes; at most ${largestPacket} are accepted`)
    }
    if (header + length + 4 > this.#blockBytes) {
      throw this.#invalid(`a packet of ${length} bytes in a block of ${this.#blockBytes}`)
    }
  }

  #invalid(what: string): DeviceError {
    return captureError(this.#window.fileOffset, `${what}.`)
  }
}
