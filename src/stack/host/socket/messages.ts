/** Arguments and results of a devmem socket's calls: the kernel's flags, limits and structures. */

import type { OptionNames } from '../../../errors.ts'

/** Leaves what it returns in the queue. */
export const MSG_PEEK = 2
/** Takes device memory, as control messages. */
export const MSG_SOCK_DEVMEM = 0x2000000

/** Ranges that one `dontneed` takes. */
export const MAX_DONTNEED_RANGES = 128
/** Tokens that one `dontneed` looks at, unknown ones included. */
export const MAX_DONTNEED_TOKENS = 1024

/** Options of `DevmemSocket`. */
export interface DevmemSocketOptions {
  /** Binding whose net_iovs it takes; any by default. */
  readonly bindingId?: number
  /** Tokens it has at once, at most: 0 to 2^31 − 1, the default. */
  readonly tokenLimit?: number
  /** Payload bytes that may wait to be read: 1 to 2^40; 2^40 by default, so that its pools are the bound. */
  readonly receiveBufferBytes?: number
  /**
   * Fails on readable payload where device memory was asked for, with MSG_SOCK_DEVMEM or for frags,
   * rather than return it: misrouted packets are found. False by default.
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

/** What `recvmsg` takes: where readable bytes go, where control messages go, and flags. */
export interface ReceiveMessage {
  /** Its lengths together bound what one call returns, device memory included. */
  readonly iov: readonly Uint8Array[]
  /** Room for control messages: `DEVMEM_CMSG_SPACE` bytes each. */
  readonly control?: Uint8Array
  /** {@link MSG_SOCK_DEVMEM}, {@link MSG_PEEK}; what it does not know it ignores. */
  readonly flags?: number
}

/** What `recvmsg` returns. */
export interface ReceivedMessage {
  /** Payload bytes, in the iovec or in device memory; 0 once the stream has ended. */
  readonly bytes: number
  /** Bytes of control messages. */
  readonly controlBytes: number
  /** Always 0: nothing is ever cut. */
  readonly flags: number
}

/** Neighbouring tokens. */
export interface TokenRange {
  /** The first: 0 to 2^32 − 1. */
  readonly start: number
  /** How many: 0 to 2^32 − 1. */
  readonly count: number
}

/** What went through a socket. */
export interface DevmemSocketStats {
  /** Payload bytes that were put into the iovec, or handed on as host frags. */
  readonly hostBytes: number
  /** Payload bytes that were named by tokens. */
  readonly deviceBytes: number
  /** Tokens that were minted, and those that are out. */
  readonly minted: number
  readonly tokens: number
  /** Payload bytes that wait to be read. */
  readonly queuedBytes: number
  /** Skbs that came after the end, or that the receive buffer had no room for. */
  readonly dropped: number
}
