/** Arguments and results of a devmem socket's calls: the kernel's flags, limits and structures. */

import type { OptionNames } from '../../../errors.ts'

export { MSG_SOCK_DEVMEM } from '../../../wire/control-messages.ts'

/** Flag of `recvmsg`: leaves the data in the queue. */
export const MSG_PEEK = 2

/** Largest number of ranges of one `dontneed`. */
export const MAX_DONTNEED_RANGES = 128
/** Largest number of tokens that one `dontneed` looks at, unknown ones included. */
export const MAX_DONTNEED_TOKENS = 1024

/** Options of `DevmemSocket`. */
export interface DevmemSocketOptions {
  /** Id of the binding whose net_iovs the socket takes. Default: every binding. */
  readonly bindingId?: number
  /** Largest number of tokens at once: 0 to 2^31 − 1, the default. */
  readonly tokenLimit?: number
  /** Largest number of payload bytes that wait to be read: 1 to 2^40. Default 2^40: the pools are the limit. */
  readonly receiveBufferBytes?: number
  /**
   * True if readable payload is an error where device memory was asked for, by MSG_SOCK_DEVMEM or by
   * frags: this finds misrouted packets. Default false.
   */
  readonly strict?: boolean
}

/** @internal */
export const SOCKET_OPTIONS: OptionNames<DevmemSocketOptions> = {
  bindingId: true,
  tokenLimit: true,
  receiveBufferBytes: true,
  strict: true,
}

/** Arguments of `recvmsg`. */
export interface ReceiveMessage {
  /** Memory for readable bytes. Its total length limits the bytes of a call, device memory included. */
  readonly iov: readonly Uint8Array[]
  /** Memory for control messages: `DEVMEM_CMSG_SPACE` bytes each. */
  readonly control?: Uint8Array
  /** {@link MSG_SOCK_DEVMEM} and {@link MSG_PEEK}. Other flags are ignored. */
  readonly flags?: number
}

/** Result of `recvmsg`. */
export interface ReceivedMessage {
  /** Payload bytes, in the iovec or in device memory. 0 once the stream has ended. */
  readonly bytes: number
  /** Bytes of control messages. */
  readonly controlBytes: number
  /** Always 0: control messages are never truncated. */
  readonly flags: number
}

/** Range of neighbouring tokens. */
export interface TokenRange {
  /** First token: 0 to 2^32 − 1. */
  readonly start: number
  /** Number of tokens: 0 to 2^32 − 1. */
  readonly count: number
}

/** Counters of a socket. */
export interface DevmemSocketStats {
  /** Payload bytes that were copied to the iovec, or received as host frags. */
  readonly host_bytes: number
  /** Payload bytes that were received by token. */
  readonly device_bytes: number
  /** Tokens minted so far. */
  readonly minted: number
  /** Tokens that are out. */
  readonly tokens: number
  /** Payload bytes that wait to be read. */
  readonly queued_bytes: number
  /** Skbs that came after the end, or when the receive buffer was full. */
  readonly dropped: number
}
