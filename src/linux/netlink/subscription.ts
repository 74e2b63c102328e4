/// <reference lib="esnext.disposable" preserve="true" />

/** Notifications of a multicast group. */

import { parseMessages } from '../../wire/netlink.ts'
import { truncated } from './netlink-error.ts'
import type { NetlinkTransport } from './transport.ts'

/**
 * One notification. `overrun` says that the kernel dropped notifications after those before it, since
 * the receive buffer was full: ask for the whole state again. `unknown` is one that the tables do not
 * have.
 */
export type NetlinkEvent<Events> =
  | {
      readonly [Name in keyof Events]: {
        readonly kind: 'event'
        /** Name in the specification, such as `page-pool-add-ntf`. */
        readonly name: Name
        /** Attributes of the object that it is about. */
        readonly message: Events[Name]
      }
    }[keyof Events]
  | { readonly kind: 'overrun' }
  | {
      readonly kind: 'unknown'
      /** Number of the notification. */
      readonly command: number
      /** Everything behind the header of netlink. */
      readonly payload: Uint8Array
    }

/** Turns a message into a notification. */
type Decode<Events> = (type: number, payload: Uint8Array) => NetlinkEvent<Events>

/**
 * Notifications of a multicast group, from the moment `subscribe()` has resolved. The kernel keeps
 * notifications in the socket's receive buffer until the caller takes them. One loop at a time iterates.
 * It ends at `close()`. Disposable.
 */
export class NetlinkSubscription<Events>
  implements AsyncIterable<NetlinkEvent<Events>>, Disposable
{
  readonly #transport: NetlinkTransport
  readonly #decode: Decode<Events>
  readonly #onClose: (subscription: Disposable) => void
  readonly #waiting: NetlinkEvent<Events>[] = []
  #isClosed = false

  /** @internal */
  constructor(
    transport: NetlinkTransport,
    decode: Decode<Events>,
    onClose: (subscription: Disposable) => void,
  ) {
    this.#transport = transport
    this.#decode = decode
    this.#onClose = onClose
  }

  /**
   * Iterates over the notifications. Leaving the loop leaves the subscription open.
   *
   * @throws NETMEM_NETLINK_MALFORMED or NETMEM_NETLINK_TRUNCATED, as a rejection of one turn.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<NetlinkEvent<Events>, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift()
      if (next !== undefined) {
        yield next
        continue
      }
      if (this.#isClosed) return
      if (!this.#take()) await this.#transport.readable(undefined)
    }
  }

  /** Takes what has come, and returns false if there is nothing. */
  #take(): boolean {
    const received = this.#transport.receive()
    if (received === undefined) return false
    if (received.kind === 'truncated') {
      throw truncated('subscribe()', received.bytes, received.room)
    }
    if (received.kind === 'datagram') {
      for (const { type, payload } of parseMessages(received.bytes)) {
        this.#waiting.push(this.#decode(type, payload))
      }
      return true
    }
    // The kernel reports further losses only after the buffer has been empty (K:
    // net/netlink/af_netlink.c, netlink_overrun). So the overrun comes after the notifications in the
    // buffer. A caller that then asks for the state gets the effect of every lost notification.
    try {
      while (this.#take());
    } finally {
      if (this.#waiting.at(-1)?.kind !== 'overrun') this.#waiting.push({ kind: 'overrun' })
    }
    return true
  }

  /** Lets the process end while a loop waits for notifications. */
  unref(): this {
    this.#transport.unref()
    return this
  }

  /** Leaves the group and closes the socket. A second call does nothing. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#waiting.length = 0
    this.#transport.close()
    this.#onClose(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
