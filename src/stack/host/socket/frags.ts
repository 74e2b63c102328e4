/**
 * Receives a socket's data as frags, the same that `netmem/net` gives, so that an application is
 * written once. Pages change hands without a copy. A token names device memory.
 */

import { LifetimeError } from '../../../errors.ts'
import type { Frag } from '../../../pool/frag.ts'
import type { DevmemSocket } from './devmem-socket.ts'

/**
 * Receives a socket's data as frags, which the application releases: pages without a copy, payload
 * that landed with headers as copies, device memory by token. Releasing a frag returns its token. When
 * the socket closes, all tokens are back, and device frags are invalid. One loop at a time.
 *
 * The promises reject with
 * - NETMEM_NO_DEVICE at memory of another binding, which stays in the queue,
 * - NETMEM_NO_TOKEN if all tokens are out, and the data stays in the queue,
 * - NETMEM_READABLE at host memory if the socket is strict, and the data stays in the queue,
 * - NETMEM_SOCKET_CLOSED after the socket was closed,
 * - the error that the socket was reset with,
 * - NETMEM_BUSY while another call waits.
 */
export function receiveFrags(socket: DevmemSocket): FragReceiver {
  return new FragReceiver(socket)
}

type FragResult = IteratorResult<Frag, undefined>

/** Call of `next` that waits for data, and its iterator. */
interface NextFrag {
  readonly resolve: (result: FragResult | Promise<FragResult>) => void
  readonly iterator: object
}

/** Frags of a socket, in order, made by {@link receiveFrags}. Leaving the loop does not close the socket. */
export class FragReceiver implements AsyncIterable<Frag> {
  readonly #socket: DevmemSocket
  #waiter: NextFrag | undefined
  readonly #onReadable = (): void => {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.resolve(this.#next(waiter.iterator))
  }

  /** @internal */
  constructor(socket: DevmemSocket) {
    this.#socket = socket
  }

  /**
   * Returns the next frag without waiting, or `undefined` if none has arrived or the stream has ended.
   *
   * @throws The errors that {@link receiveFrags} names, NETMEM_BUSY apart.
   */
  take(): Frag | undefined {
    const { reader } = this.#socket
    const { queue } = reader
    const skb = queue.first
    if (skb === undefined) {
      this.#socket.waits()
      return undefined
    }
    const linear = !queue.locate(skb)
    if (!linear && skb.kind === 'net_iov') return reader.takeDevice(skb)
    reader.checkStrict()
    return linear || skb.kind !== 'page' ? reader.takeLinear(skb) : reader.takePage(skb)
  }

  /**
   * Has no effect: a released frag's token is back at once. It is here for applications that also take
   * frags from the kernel's sockets, where tokens go back in batches.
   */
  flush(): void {}

  /** Yields the frags, and waits for them. */
  [Symbol.asyncIterator](): AsyncIterator<Frag, undefined, void> {
    const receiver = this
    return {
      // One promise per frag: this is the hot path of `for await`.
      next() {
        return receiver.#next(this)
      },
      return() {
        const waiter = receiver.#waiter
        if (waiter?.iterator === this) {
          receiver.#waiter = undefined
          waiter.resolve({ done: true, value: undefined })
        }
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  #next(iterator: object): Promise<FragResult> {
    try {
      if (this.#waiter !== undefined) throw busy()
      const value = this.take()
      if (value !== undefined) return Promise.resolve({ done: false, value })
      if (!this.#socket.waits()) return Promise.resolve({ done: true, value: undefined })
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve) => {
      this.#waiter = { resolve, iterator }
      this.#socket.notify(this.#onReadable)
    })
  }
}

function busy(): LifetimeError {
  return new LifetimeError(
    'NETMEM_BUSY',
    'Another call waits for this socket. Await it first, or receive in one loop.',
  )
}
