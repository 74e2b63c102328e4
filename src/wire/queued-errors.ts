/**
 * Messages of a socket's error queue (Linux, include/uapi/linux/errqueue.h): completions of zero-copy
 * sends, and errors of the network.
 */

import type { ControlReader } from './control-messages.ts'

const SOL_IP = 0
const SOL_IPV6 = 41

/** Numbers of the error queue (Linux, include/uapi/linux/errqueue.h, in.h, in6.h). */
export const ERROR_QUEUE = {
  IP_RECVERR: 11,
  IPV6_RECVERR: 25,
  SO_EE_ORIGIN_ZEROCOPY: 5,
  SO_EE_CODE_ZEROCOPY_COPIED: 1,
} as const
const { IP_RECVERR, IPV6_RECVERR, SO_EE_ORIGIN_ZEROCOPY, SO_EE_CODE_ZEROCOPY_COPIED } = ERROR_QUEUE

/** struct sock_extended_err. `ORIGIN` begins a word: origin u8, type u8, code u8, and padding. */
export const SOCK_EXTENDED_ERR = { BYTES: 16, ERRNO: 0, ORIGIN: 4, INFO: 8, DATA: 12 } as const
const { BYTES, ERRNO, ORIGIN: ORIGIN_TYPE_CODE, INFO, DATA } = SOCK_EXTENDED_ERR

/** A message of the error queue. */
export type QueuedError =
  /** Zero-copy sends have completed: their memory may be used again. */
  | {
      readonly kind: 'zerocopy'
      /** Number of the first send, from 0, modulo 2^32. */
      readonly first: number
      /** Number of the last send: below `first` where the numbers wrapped. */
      readonly last: number
      /** True if the kernel copied the bytes after all. */
      readonly copied: boolean
    }
  | {
      readonly kind: 'other'
      /** Error number. */
      readonly errno: number
      /** Source of the error, such as 2 for ICMP. */
      readonly origin: number
    }

/** Returns the present message as one of the error queue, or `undefined` if it is another. */
export function queuedErrorOf(reader: ControlReader): QueuedError | undefined {
  const { level, type, dataBytes } = reader
  const isError =
    (level === SOL_IP && type === IP_RECVERR) || (level === SOL_IPV6 && type === IPV6_RECVERR)
  if (!isError || dataBytes < BYTES) return undefined
  const word = reader.data32(ORIGIN_TYPE_CODE)
  const errno = reader.data32(ERRNO)
  const origin = word & 0xff
  if (origin !== SO_EE_ORIGIN_ZEROCOPY || errno !== 0) return { kind: 'other', errno, origin }
  const copied = ((word >>> 16) & SO_EE_CODE_ZEROCOPY_COPIED) !== 0
  return { kind: 'zerocopy', first: reader.data32(INFO), last: reader.data32(DATA), copied }
}
