/**
 * The part of a connection that the iperf3 server uses. A `Connection` of `netmem/net` implements it, and
 * so does the in-memory connection of the tests.
 *
 * Connections must come with TCP_NODELAY. Without it `testStart` waits for the client's delayed ACK
 * of `createStreams`, 40 ms on Linux, in which the clock of this side already runs.
 */

import type { ReadableFrag } from '../../index.ts'
import type { Address, Connection as AnyConnection } from '../../net/index.ts'

export type { Address }

/** A received byte range, for the receiver to release. Without bytes it is one in device memory. */
export type StreamFrag = Pick<ReadableFrag, 'length' | 'release'> &
  Partial<Pick<ReadableFrag, 'bytes'>>

export interface Transport
  extends Pick<AnyConnection, 'write' | 'end' | 'destroy' | 'remoteAddress'> {
  receive(): Promise<StreamFrag | undefined>
  /** Called on a data connection before its client may send. */
  dataFollows?(): Promise<void>
}

/** Connections of clients, and where they come from. */
export interface Clients {
  readonly address: Address
  /** Description of the memory. */
  readonly what: string
  readonly connections: AsyncIterable<Transport>
}
