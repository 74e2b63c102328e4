/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Receiving half of a TCP socket that knows devmem TCP: a queue of skbs in order, and the kernel's
 * calls over it. A reassembler puts skbs in order before, and no part of this acknowledges them.
 */

import { checkInteger, ownOptions } from '../../../errors.ts'
import { deferred, Waiters } from '../../../pool/waiters.ts'
import { DeviceError } from '../../device-error.ts'
import { unreadable } from '../skb/readable.ts'
import type { AnySkb } from '../skb/skb.ts'
import {
  type DevmemSocketOptions,
  type DevmemSocketStats,
  MAX_DONTNEED_RANGES,
  MAX_DONTNEED_TOKENS,
  MSG_PEEK,
  MSG_SOCK_DEVMEM,
  type ReceivedMessage,
  type ReceiveMessage,
  SOCKET_OPTIONS,
  type TokenRange,
} from './messages.ts'
import { isReadable } from './receive-queue.ts'
import { readReadable, readUnreadable } from './recvmsg.ts'
import { notBytes, Scatter } from './scatter.ts'
import { SocketReader } from './socket-reader.ts'

const NO_CONTROL = new Uint8Array(0)

/**
 * A socket over a queue of skbs.
 *
 * @example
 * ```ts
 * import { createPageSkbCache, DevmemSocket } from 'netmem/stack'
 *
 * const socket = new DevmemSocket()
 * const skb = createPageSkbCache(pool, 256).take() // what a driver does
 * skb.head.set([1, 2, 3])
 * skb.headLength = 3
 * socket.queue(skb)
 * const { bytes } = socket.recvmsg({ iov: [new Uint8Array(16)] })
 * console.log(bytes) // 3
 * socket.close()
 * ```
 */
export class DevmemSocket implements Disposable {
  /** @internal */
  readonly reader: SocketReader
  readonly #closed = deferred()
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void> = this.#closed.promise
  readonly #bufferBytes: number
  readonly #waiters = new Waiters()
  #state: 'open' | 'ended' | 'closed' = 'open'
  #error: Error | undefined
  #dropped = 0

  /** @throws NETMEM_OUT_OF_RANGE and NETMEM_INVALID_ARGUMENT. */
  constructor(options: DevmemSocketOptions = {}) {
    const own = ownOptions('new DevmemSocket()', options, SOCKET_OPTIONS)
    const { receiveBufferBytes = 2 ** 40 } = own
    this.#bufferBytes = checkInteger('receiveBufferBytes', receiveBufferBytes, 1, 2 ** 40)
    this.reader = new SocketReader(own)
  }

  // Calls of the stack.

  /**
   * Takes over the next skb of the stream.
   *
   * @returns False if the skb was freed, since the stream has ended or the receive buffer is full.
   */
  queue(skb: AnySkb): boolean {
    const bytes = skb.payloadLength
    if (this.#state !== 'open' || this.reader.queue.bytes + bytes > this.#bufferBytes) {
      this.#dropped++
      skb.free()
      return false
    }
    if (bytes === 0) {
      skb.free()
      return true
    }
    this.reader.queue.push(skb)
    if (this.#waiters.waiting) this.#waiters.wake()
    return true
  }

  /** Ends the stream. Queued data can still be read. */
  fin(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#waiters.wake()
  }

  /** Ends the stream with an error: `recvmsg` throws `error` once the queued data is read. */
  reset(error: Error): void {
    if (this.#state !== 'open') return
    this.#error = error
    this.fin()
  }

  // Calls of the application.

  /**
   * Reads queued data of one kind: readable or unreadable. Reads skbs, frags and linear bytes in part
   * where the iovec or `control` is too small. Each part of a frag has its own token and its own
   * reference. A peek only returns readable data and mints no tokens.
   *
   * @returns Bytes read: 0 once the stream has ended. A call that has read data returns it and leaves
   *   the error to the next call.
   * @throws NETMEM_WOULD_BLOCK (EAGAIN) if no data is queued.
   * @throws NETMEM_UNREADABLE (EFAULT) at device memory without MSG_SOCK_DEVMEM, or with MSG_PEEK.
   * @throws NETMEM_READABLE (EFAULT) at readable payload with MSG_SOCK_DEVMEM, if the socket is strict.
   * @throws NETMEM_CONTROL_SPACE (525, which has no name in user space) if no control message fits.
   * @throws NETMEM_NO_DEVICE (ENODEV) at a net_iov of another binding.
   * @throws NETMEM_NO_TOKEN (ENOMEM) if all tokens are out.
   * @throws NETMEM_SOCKET_CLOSED (EBADF) after {@link close}.
   * @throws The error that {@link reset} was given.
   */
  recvmsg(message: ReceiveMessage): ReceivedMessage {
    const { iov, control = NO_CONTROL, flags = 0 } = message
    checkInteger('flags', flags, 0, 2 ** 31 - 1)
    const target = new Scatter(iov)
    if (!(control instanceof Uint8Array)) throw notBytes('control')
    if (this.#state === 'closed') throw socketClosed()
    if (target.room === 0) return { bytes: 0, controlBytes: 0, flags: 0 }
    const { first } = this.reader.queue
    if (first === undefined) {
      if (!this.waits()) return { bytes: 0, controlBytes: 0, flags: 0 }
      throw new DeviceError(
        'NETMEM_WOULD_BLOCK',
        'EAGAIN',
        'Nothing has arrived. Wait for whenReadable().',
      )
    }
    if (isReadable(first)) {
      if ((flags & MSG_SOCK_DEVMEM) !== 0) this.reader.checkStrict()
      const bytes = readReadable(this.reader, target, (flags & MSG_PEEK) !== 0)
      return { bytes, controlBytes: 0, flags: 0 }
    }
    if ((flags & MSG_SOCK_DEVMEM) === 0 || (flags & MSG_PEEK) !== 0) throw unreadable()
    return readUnreadable(this.reader, target, control)
  }

  /**
   * Gives back the references of tokens. Looks at 1024 tokens, unknown ones included, and ignores
   * the rest.
   *
   * @returns Number of tokens that were freed.
   * @throws NETMEM_TOKEN_RANGE (EINVAL) for no range or more than 128, NETMEM_OUT_OF_RANGE, and
   *   NETMEM_SOCKET_CLOSED (EBADF), before anything is freed.
   */
  dontneed(ranges: readonly TokenRange[]): number {
    if (this.#state === 'closed') throw socketClosed()
    if (ranges.length < 1 || ranges.length > MAX_DONTNEED_RANGES) {
      throw new DeviceError(
        'NETMEM_TOKEN_RANGE',
        'EINVAL',
        `One call takes 1 to ${MAX_DONTNEED_RANGES} ranges of tokens, not ${ranges.length}. Call again with the rest.`,
      )
    }
    for (const { start, count } of ranges) {
      checkInteger('start', start, 0, 2 ** 32 - 1)
      checkInteger('count', count, 0, 2 ** 32 - 1)
    }
    let walked = 0
    let freed = 0
    for (const { start, count } of ranges) {
      const walk = Math.min(count, MAX_DONTNEED_TOKENS - walked)
      for (let at = 0; at < walk; at++) if (this.reader.tokens.free(start + at)) freed++
      walked += walk
    }
    return freed
  }

  /** Gives back all tokens and all unread data. A second call has no effect. */
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.reader.queue.clear()
    this.reader.tokens.clear()
    this.#closed.resolve()
    this.#waiters.wake()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** True unless {@link recvmsg} would throw NETMEM_WOULD_BLOCK. */
  get readable(): boolean {
    return this.reader.queue.length > 0 || this.#state !== 'open'
  }

  /** Calls `callback` once when the socket is {@link readable}. If it is already, in a microtask. */
  notify(callback: () => void): void {
    if (this.readable) queueMicrotask(callback)
    else this.#waiters.add(callback)
  }

  /** Resolves when the socket is {@link readable}. */
  whenReadable(): Promise<void> {
    return new Promise((resolve) => this.notify(resolve))
  }

  /** Returns a snapshot of the counters. */
  stats(): DevmemSocketStats {
    const { hostBytes, deviceBytes, minted, tokens, queue } = this.reader
    return {
      host_bytes: hostBytes,
      device_bytes: deviceBytes,
      minted,
      tokens: tokens.size,
      queued_bytes: queue.bytes,
      dropped: this.#dropped,
    }
  }

  /** @internal True if data may still come, false at the end of the stream. Throws as {@link recvmsg} does. */
  waits(): boolean {
    if (this.#state === 'closed') throw socketClosed()
    if (this.#state === 'open') return true
    if (this.#error !== undefined) throw this.#error
    return false
  }
}

function socketClosed(): DeviceError {
  return new DeviceError(
    'NETMEM_SOCKET_CLOSED',
    'EBADF',
    'The socket is closed, and its tokens were given back.',
  )
}
