/**
 * What the iperf3 server asks of a connection: the part of `netmem/net` it uses, and nothing else.
 * A `Connection` of `netmem/net` is one by its shape; so is the in-memory one of the tests.
 *
 * Connections must come with TCP_NODELAY. Without it `testStart` waits for the client's delayed ACK
 * of `createStreams`, 40 ms on Linux, in which the clock of this side already runs.
 */

/** A received byte range. Whoever got it from `receive()` releases it. */
export interface Frag {
  readonly bytes: Uint8Array
  readonly length: number
  release(): void
}

export interface Connection {
  /**
   * The next received bytes, or `undefined` at the peer's FIN. Rejects when the connection breaks.
   */
  receive(): Promise<Frag | undefined>
  write(bytes: Uint8Array): Promise<void>
  /** Half-close: what was written arrives, then a FIN. */
  end(): Promise<void>
  /** Closes at once, gives back what was not delivered and settles a pending `receive()`. */
  destroy(): void
  readonly remoteAddress: Address
}

export interface Address {
  readonly host: string
  readonly port: number
}
