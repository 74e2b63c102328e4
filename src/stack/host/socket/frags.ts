/**
 * Receives a socket's data as frags, the same that `netmem/net` gives, so that an application is
 * written once. Pages change hands without a copy. A token names device memory.
 */

import { LifetimeError } from '../../../errors.ts'
import type { Binding, NetIov, Page } from '../../../netmem.ts'
import {
  copiedFrag,
  type DeviceFrag,
  type Frag,
  fragOf,
  type HostFrag,
} from '../../../pool/frag.ts'
import { unreadable } from '../skb/readable.ts'
import type { AnySkb, Skb } from '../skb/skb.ts'
import type { DevmemSocket } from './devmem-socket.ts'
import { TokenBatch } from './token-batch.ts'

/** Frags of a socket, in order. Leaving the loop does not close the socket. */
export interface FragReceiver extends AsyncIterable<Frag> {
  /**
   * Returns the next frag without waiting, or `undefined` if none has arrived or the stream has ended.
   *
   * @throws The errors that {@link receiveFrags} names, NETMEM_BUSY apart.
   */
  take(): Frag | undefined
  /** Gives the tokens of released frags back now instead of in a batch. */
  flush(): void
}

/**
 * Receives a socket's data as frags, which the application releases: pages without a copy, payload
 * that landed with headers as copies, device memory by token. Tokens go back in batches of up to 64.
 * All of them go back when the socket closes, and device frags are invalid then. One loop at a time.
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
  return new SocketFragReceiver(socket)
}

interface MessageWaiter {
  readonly resolve: (result: IteratorResult<Frag, undefined>) => void
  readonly reject: (reason: unknown) => void
  readonly iterator: object
}

class SocketFragReceiver implements FragReceiver {
  readonly #socket: DevmemSocket
  readonly #batch: TokenBatch
  #waiter: MessageWaiter | undefined
  readonly #onReadable = (): void => this.#answer()

  constructor(socket: DevmemSocket) {
    this.#socket = socket
    this.#batch = new TokenBatch(socket)
  }

  take(): Frag | undefined {
    const { reader } = this.#socket
    const { queue } = reader
    const skb = queue.first
    if (skb === undefined) {
      this.#socket.waits()
      return undefined
    }
    const linear = !queue.locate(skb)
    if (!linear && skb.kind === 'net_iov') return this.#takeDevice(skb)
    reader.checkStrict()
    return linear || skb.kind !== 'page' ? this.#takeLinear(skb) : this.#takePage(skb)
  }

  flush(): void {
    this.#batch.flush()
  }

  [Symbol.asyncIterator](): AsyncIterator<Frag, undefined, void> {
    const receiver = this
    return {
      // One promise per frag: this is the hot path of `for await`.
      next() {
        return receiver.#next(this)
      },
      return() {
        receiver.#stop(this)
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  #next(iterator: object): Promise<IteratorResult<Frag, undefined>> {
    try {
      if (this.#waiter !== undefined) throw busy()
      const value = this.take()
      if (value !== undefined) return Promise.resolve({ done: false, value })
      if (!this.#socket.waits()) return Promise.resolve({ done: true, value: undefined })
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject, iterator }
      this.#socket.notify(this.#onReadable)
    })
  }

  #answer(): void {
    const waiter = this.#waiter
    if (waiter === undefined) return
    this.#waiter = undefined
    this.#next(waiter.iterator).then(waiter.resolve, waiter.reject)
  }

  #stop(iterator: object): void {
    this.#batch.flush()
    const waiter = this.#waiter
    if (waiter?.iterator !== iterator) return
    this.#waiter = undefined
    waiter.resolve({ done: true, value: undefined })
  }

  #takeLinear(skb: AnySkb): HostFrag {
    const { reader } = this.#socket
    const bytes = skb.head.subarray(skb.payloadOffset + reader.queue.consumed, skb.headLength)
    const frag = copiedFrag(skb.cache.pool, bytes)
    reader.readHost(bytes.length)
    return frag
  }

  #takePage(skb: Skb<Page>): HostFrag {
    const { reader } = this.#socket
    const { fragAt, fragSkip } = reader.queue
    const offset = (skb.offsets[fragAt] ?? 0) + fragSkip
    const length = (skb.lengths[fragAt] ?? 0) - fragSkip
    const frag = fragOf(skb.takeFrag(fragAt), offset, length)
    reader.readHost(length)
    return frag
  }

  #takeDevice(skb: Skb<NetIov>): DeviceFrag {
    const { reader } = this.#socket
    const { fragAt, fragSkip } = reader.queue
    const iov = skb.frags[fragAt]
    if (iov === undefined) throw unreadable()
    const place = reader.placeForToken(iov)
    const offset = place.offset + (skb.offsets[fragAt] ?? 0) + fragSkip
    const length = (skb.lengths[fragAt] ?? 0) - fragSkip
    const token = reader.mint(skb, length)
    const serial = reader.tokens.serial(token)
    return new IovFrag(place.binding, offset, length, token, serial, this.#batch)
  }
}

class IovFrag implements DeviceFrag {
  readonly kind = 'net_iov'
  readonly binding: Binding
  readonly offset: number
  readonly length: number
  readonly token: number
  readonly #serial: number
  #batch: TokenBatch | undefined

  constructor(
    binding: Binding,
    offset: number,
    length: number,
    token: number,
    serial: number,
    batch: TokenBatch,
  ) {
    this.binding = binding
    this.offset = offset
    this.length = length
    this.token = token
    this.#serial = serial
    this.#batch = batch
  }

  release(): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    batch.add(this.token, this.#serial)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

function busy(): LifetimeError {
  return new LifetimeError(
    'NETMEM_BUSY',
    'Another call waits for this socket. Await it first, or receive in one loop.',
  )
}
