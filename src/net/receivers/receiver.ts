/** A receiver takes the bytes that arrive on one connection. Its driver posts memory for them. */

/**
 * Answer of {@link Receiver.wants}: stop reading, read into any memory, or read but post the
 * receiver's memory only after a full read. JavaScript can move that memory, and only after a full
 * read does the next read come before JavaScript runs again.
 */
export type Wants = 'nothing' | 'anything' | 'afterFullRead'

/** One receiver at a time is a driver's current one. */
export interface Receiver {
  /**
   * Bytes that it still takes, infinite if unknown. The driver drops a receiver that takes no more.
   */
  readonly left: number
  /** Says whether the driver is to read, and which memory it may post. */
  wants(): Wants
  /** Memory of the receiver for the next read. Without it the driver posts its small buffer. */
  memory(): Uint8Array | undefined
  /**
   * Takes `bytes` bytes from `buffer`, or from its own memory if there is no `buffer`. Returns how
   * many. A receiver that leaves some is dropped, and the rest becomes a frag.
   */
  arrived(bytes: number, buffer: Uint8Array | undefined): number
  /** No more bytes will arrive: the peer has finished sending, or the connection failed. */
  end(error: Error | undefined): void
}

/** The operations that a receiver needs of its driver. */
export interface ReceiverDriver {
  /** True if the next read may fill a page that already holds frags. */
  readonly postsPages: boolean
  /** Throws NETMEM_BUSY while a receiver waits. */
  checkFree(): void
  /** Starts reading again if the current receiver wants to. */
  readOn(): void
  /** Ends the connection with an error. What arrived before can still be received. */
  fail(error: Error): void
  /** Ends the connection with an error, and gives back what was not received. */
  abandon(error: Error): void
}
