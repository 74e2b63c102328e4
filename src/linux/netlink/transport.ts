/**
 * Interface of the client to a netlink socket. `socket.ts` implements it with the kernel's socket, and
 * tests with one that plays the kernel.
 */

/** Result of one receive. */
export type Received =
  /** A datagram. Its bytes are valid until the next receive. */
  | { readonly kind: 'datagram'; readonly bytes: Uint8Array }
  /** A datagram of `bytes` bytes that was cut to `room`. */
  | { readonly kind: 'truncated'; readonly bytes: number; readonly room: number }
  /** The kernel dropped messages, since the receive buffer was full. */
  | { readonly kind: 'overrun' }

/** A netlink socket that does not block. */
export interface NetlinkTransport {
  /** Sends a message to the kernel. */
  send(message: Uint8Array): void
  /** Takes what the kernel has sent, or returns undefined if there is nothing. */
  receive(): Received | undefined
  /** Resolves when a receive may find something, when the transport closes, or when `signal` aborts. */
  readable(signal: AbortSignal | undefined): Promise<void>
  /** Joins a multicast group. */
  join(group: number): void
  /** Lets the process end while a receive is waited for. */
  unref(): void
  /** Closes the socket. A second call does nothing. */
  close(): void
}
