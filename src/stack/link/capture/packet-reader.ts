/** Common parts of the readers of both file formats. */

/**
 * Bytes of the largest captured frame accepted: the limit of tcpdump and dumpcap, and more than any
 * TSO frame.
 */
export const MAX_CAPTURED_BYTES: number = 256 * 1024

/** LINKTYPE_ETHERNET, the only link type that is read. */
export const LINK_TYPE_ETHERNET = 1

/** Names of other common link types, for messages. */
const LINK_TYPES: ReadonlyMap<number, string> = new Map([
  [0, 'NULL (loopback of BSD)'],
  [9, 'PPP'],
  [101, 'RAW (IP without a link layer)'],
  [105, 'IEEE802_11 (wireless)'],
  [113, 'LINUX_SLL (captured on "any")'],
  [127, 'IEEE802_11_RADIOTAP (wireless)'],
  [228, 'IPV4'],
  [229, 'IPV6'],
  [276, 'LINUX_SLL2 (captured on "any")'],
])

/** One packet of a capture, in the window. One object is used for all packets. */
export class CapturedPacket {
  offset = 0
  length = 0
  originalLength = 0
  /** Time from the first packet of the file on, in ns. Negative where packets are out of order. */
  timeNs = 0
}

/** Reads the packets of a capture in one format, one after the other. */
export interface PacketReader {
  /**
   * Describes the next packet, in place. Returns false at the end.
   *
   * @throws NETMEM_CAPTURE_INVALID
   */
  next(into: CapturedPacket): boolean
  /** True if the file ended within a record. */
  readonly truncated: boolean
  /** Blocks of other kinds, which are skipped. */
  readonly skippedBlocks: number
  /** Packets so far of interfaces that are not Ethernet. */
  readonly otherLinkPackets: number
}

/** Returns the message about a link type that is not accepted. */
export function linkTypeMessage(linkType: number): string {
  const name = LINK_TYPES.get(linkType)
  return `link type ${linkType}${name === undefined ? '' : `, ${name},`} is not Ethernet (1). Capture on an Ethernet interface.`
}

/** An unsigned number of 16 bits. */
export function read16(bytes: Uint8Array, at: number, little: boolean): number {
  const first = bytes[at] ?? 0
  const second = bytes[at + 1] ?? 0
  return little ? first | (second << 8) : (first << 8) | second
}

/** An unsigned number of 32 bits. */
export function read32(bytes: Uint8Array, at: number, little: boolean): number {
  const first = read16(bytes, at, little)
  const second = read16(bytes, at + 2, little)
  return (little ? first | (second << 16) : (first << 16) | second) >>> 0
}
