/** The connection of devmem sockets, as an application sees it. */

import type { Connection } from '../../../connection.ts'
import type { Frag } from '../../../pool/frag.ts'
import type { BoundMemory } from './binding-use.ts'

/** Counters of a {@link DevmemConnection}. */
export interface DevmemStats {
  /** Payload bytes that came in device memory. */
  readonly device_bytes: number
  /** Payload bytes that came in host memory: with headers, or on a queue that is not bound. */
  readonly linear_bytes: number
  /** Frags of device memory that came. */
  readonly device_frags: number
  /** Tokens that were not given back so far. */
  readonly tokens_out: number
  /** Tokens that were given back. */
  readonly tokens_returned: number
  /** System calls that gave tokens back. */
  readonly return_calls: number
  /** Calls of `sendDevice` data that the peer has confirmed, in the kernel's pieces. */
  readonly completions: number
  /** Pieces among them that the kernel had to copy. */
  readonly copied: number
}

/** A connection whose payload may lie in device memory. */
export interface DevmemConnection extends Connection<Frag> {
  /**
   * Sends bytes of a bound dma-buf without a copy, after all that was written before. Resolves when the
   * peer has confirmed them: the memory must stay as it is until then.
   *
   * @param binding result of `bindTx()`, for the interface that the connection leaves by.
   * @param offset bytes from the dma-buf's start.
   * @param length 1 to the bytes of the dma-buf behind `offset`.
   * @throws NETMEM_DEVMEM_NOT_SENDABLE, NETMEM_DEVMEM_ROUTE, NETMEM_DEVMEM_SEND_RANGE,
   *   NETMEM_DEVMEM_SEND_LIMIT or NETMEM_DEVMEM_KERNEL when the kernel refuses. The connection has
   *   failed then, since its peer lacks bytes of the stream.
   * @throws NETMEM_OUT_OF_RANGE, NETMEM_CONNECTION_CLOSED, and the codes of `receive`.
   */
  sendDevice(binding: BoundMemory, offset: number, length: number): Promise<void>
  /**
   * Number of the RX queue that the last packet came by (SO_INCOMING_NAPI_ID). Resolves with `undefined`
   * before the first packet and for interfaces without the number. Also after the driver has restarted
   * its queues: gve restarts all of them when memory is bound to one.
   */
  queue(): Promise<number | undefined>
  /** Gives the tokens of released frags back now instead of at the end of the turn. */
  flush(): void
  /** Counters so far. */
  stats(): DevmemStats
}
