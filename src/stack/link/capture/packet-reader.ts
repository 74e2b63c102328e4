/** Common parts of the readers of both file formats. */

import type { DeviceError } from '../../device-error.ts'
import type { LinkFrame } from '../link.ts'

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

/** Thrown where a file ends within a record. */
export const CUT_OFF: Error = new Error('The capture ends within a record.')

/** Reads the packets of a capture in one format, one after the other. */
export interface PacketReader {
  /** Packets so far of interfaces that are not Ethernet. */
  readonly otherLinkPackets: number
  /** Error of a file that has ended, and has packets of interfaces that are not Ethernet alone. */
  readonly refusal: DeviceError | undefined
  /**
   * Describes the next packet: its place in the window, its lengths, and its time. The time is in ns from
   * the first packet of the file on, and negative where packets are out of order. Returns false at the end.
   *
   * @throws NETMEM_CAPTURE_INVALID, {@link CUT_OFF}
   */
  next(into: LinkFrame): boolean
}

/** Returns the message about a link type that is not accepted. */
export function linkTypeMessage(linkType: number): string {
  const name = LINK_TYPES.get(linkType)
  return `link type ${linkType}${name === undefined ? '' : `, ${name},`} is not Ethernet (1). Capture on an Ethernet interface.`
}
