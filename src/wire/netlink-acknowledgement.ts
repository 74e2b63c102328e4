/** Acknowledgements of netlink, which end each request and each dump, with their extended attributes. */

import {
  alignMessage,
  MESSAGE_HEADER_BYTES,
  MESSAGE_LENGTH,
  type NetlinkMessage,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSG_ERROR,
} from './netlink.ts'
import { cString, NetlinkFormatError, parseAttributes } from './netlink-attributes.ts'

/** Answer of the kernel at the end of a request (K: Documentation/userspace-api/netlink/intro.rst). */
export interface Acknowledgement {
  /** 0, or the kernel's errno as a positive number. */
  readonly errno: number
  /** The kernel's own words. */
  readonly message?: string
  /** Place of the refused attribute: bytes from the start of the request's header. */
  readonly offset?: number
  /** Type of the attribute that the request lacks. */
  readonly missingType?: number
  /** Place of the nest that lacks it. Absent if the request itself lacks it. */
  readonly missingNest?: number
  /** Attributes of the policy that the refused attribute broke, as a view. */
  readonly policy?: Uint8Array
}

// enum nlmsgerr_attrs
const ACK_MESSAGE = 1
const ACK_OFFSET = 2
const ACK_POLICY = 4
const ACK_MISSING_TYPE = 5
const ACK_MISSING_NEST = 6

/**
 * Reads the acknowledgement in a message of type NLMSG_ERROR or NLMSG_DONE. In NLMSG_ERROR the attributes
 * follow the request's header, or the whole request if the socket did not ask for NETLINK_CAP_ACK. In
 * NLMSG_DONE, which ends a dump, they follow the errno.
 *
 * @throws NETMEM_NETLINK_MALFORMED
 */
export function parseAcknowledgement(message: NetlinkMessage): Acknowledgement {
  const { payload, type, flags } = message
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (payload.length < 4) {
    // Old kernels end a dump without an errno.
    if (type === NLMSG_DONE && payload.length === 0) return { errno: 0 }
    throw new NetlinkFormatError(`A netlink acknowledgement has ${payload.length} bytes.`)
  }
  const errno = Math.abs(view.getInt32(0, true))
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno }
  let start = 4
  if (type === NLMSG_ERROR) {
    if (payload.length < 4 + MESSAGE_HEADER_BYTES) {
      throw new NetlinkFormatError('A netlink acknowledgement is cut before the request it names.')
    }
    const echoed = (flags & NLM_F_CAPPED) === 0 ? view.getUint32(4 + MESSAGE_LENGTH, true) : 0
    start += alignMessage(Math.max(echoed, MESSAGE_HEADER_BYTES))
    if (start > payload.length) {
      throw new NetlinkFormatError('A netlink acknowledgement is cut before its attributes.')
    }
  }
  return withAttributes(errno, payload.subarray(start))
}

function withAttributes(errno: number, bytes: Uint8Array): Acknowledgement {
  const acknowledgement: { -readonly [Name in keyof Acknowledgement]: Acknowledgement[Name] } = {
    errno,
  }
  for (const { type, value } of parseAttributes(bytes)) {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
    if (type === ACK_MESSAGE) acknowledgement.message = cString(value)
    else if (type === ACK_POLICY) acknowledgement.policy = value
    else if (value.length >= 4) {
      const number = view.getUint32(0, true)
      if (type === ACK_OFFSET) acknowledgement.offset = number
      else if (type === ACK_MISSING_TYPE) acknowledgement.missingType = number
      else if (type === ACK_MISSING_NEST) acknowledgement.missingNest = number
    }
  }
  return acknowledgement
}
