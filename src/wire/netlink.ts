/**
 * Messages of netlink, their headers and flags (RFC 3549; K: include/uapi/linux/netlink.h). Netlink
 * speaks the machine's byte order, which is little-endian on x86-64 and arm64. The attributes behind
 * the header are in netlink-attributes.ts, the ends of requests in netlink-acknowledgement.ts.
 */

import { joinBytes } from './bytes.ts'
import { NetlinkFormatError } from './netlink-attributes.ts'

// struct nlmsghdr
export const MESSAGE_LENGTH = 0
const TYPE = 4
const FLAGS = 6
const SEQUENCE = 8
const PORT_ID = 12

/** Bytes of struct nlmsghdr. */
export const MESSAGE_HEADER_BYTES = 16
/** Bytes of struct genlmsghdr, which follows the header in messages of generic netlink. */
export const GENERIC_HEADER_BYTES = 4

/** Types of messages that every netlink protocol has. Protocols count their own from 16. */
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLMSG_OVERRUN = 4
export const NLMSG_MIN_TYPE = 16

/** Flags of requests. */
export const NLM_F_REQUEST = 1
export const NLM_F_ACK = 4
export const NLM_F_DUMP = 0x300
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
/** Flag of replies: a dump's data changed while it ran. */
export const NLM_F_DUMP_INTR = 0x10
/** Flags of acknowledgements: the request is not repeated, and attributes follow. */
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200

/** One message of a datagram. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  /** Number that the request chose, or 0 in notifications. */
  readonly sequence: number
  readonly portId: number
  /** A view of the datagram: everything behind the header. */
  readonly payload: Uint8Array
}

/**
 * Reads the messages of one datagram. Payloads are views of it.
 *
 * @throws NETMEM_NETLINK_MALFORMED for a message that is shorter than its header or longer than the
 *   rest of the datagram.
 */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  const messages: NetlinkMessage[] = []
  let at = 0
  while (at < datagram.length) {
    const rest = datagram.length - at
    if (rest < MESSAGE_HEADER_BYTES) {
      throw new NetlinkFormatError(`A netlink datagram ends in ${rest} bytes without a header.`)
    }
    const length = view.getUint32(at + MESSAGE_LENGTH, true)
    if (length < MESSAGE_HEADER_BYTES || length > rest) {
      throw new NetlinkFormatError(
        `A netlink message at byte ${at} says that it has ${length} bytes; ${rest} are left.`,
      )
    }
    messages.push({
      type: view.getUint16(at + TYPE, true),
      flags: view.getUint16(at + FLAGS, true),
      sequence: view.getUint32(at + SEQUENCE, true),
      portId: view.getUint32(at + PORT_ID, true),
      payload: datagram.subarray(at + MESSAGE_HEADER_BYTES, at + length),
    })
    at += alignMessage(length)
  }
  return messages
}

/**
 * Builds a message: the header, then `parts` one behind the other. Each part but the last has a
 * multiple of 4 bytes.
 */
export function buildMessage(
  type: number,
  flags: number,
  sequence: number,
  ...parts: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const payload = joinBytes(parts)
  const length = MESSAGE_HEADER_BYTES + payload.length
  const message = new Uint8Array(alignMessage(length))
  const view = new DataView(message.buffer)
  view.setUint32(MESSAGE_LENGTH, length, true)
  view.setUint16(TYPE, type, true)
  view.setUint16(FLAGS, flags, true)
  view.setUint32(SEQUENCE, sequence, true)
  message.set(payload, MESSAGE_HEADER_BYTES)
  return message
}

/** Builds the header of generic netlink (K: include/uapi/linux/genetlink.h). */
export function genericHeader(command: number, version: number): Uint8Array {
  return Uint8Array.of(command, version, 0, 0)
}

/** Rounds up to NLMSG_ALIGNTO. */
export function alignMessage(bytes: number): number {
  return (bytes + 3) & ~3
}
