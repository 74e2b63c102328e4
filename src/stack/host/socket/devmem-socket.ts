/**
 * The receiving half of a TCP socket that knows devmem TCP: a queue of skbs in order, and the
 * kernel's calls over it (Linux, tcp_recvmsg_locked, tcp_recvmsg_dmabuf, sock_devmem_dontneed).
 * What puts skbs in order, and what acknowledges them, is not here.
 *
 * A long file: the stack's and the application's side of one queue, and a third of it is what the
 * calls promise.
 */

import { checkInteger } from '../../../errors.ts'
import type { NetIov } from '../../../netmem.ts'
import { Waiters } from '../../../pool/waiters.ts'
import { DeviceError } from '../../device-error.ts'
import { unreadable } from '../skb/readable.ts'
import type { AnySkb, IovPlaces, Skb } from '../skb/skb.ts'
import { DEVMEM_CMSG_SPACE, putDmabuf, putLinear } from './control-messages.ts'
import {
  type DevmemSocketOptions,
  type DevmemSocketStats,
  MAX_DONTNEED_RANGES,
  MAX_DONTNEED_TOKENS,
  MSG_PEEK,
  MSG_SOCK_DEVMEM,
  type ReceivedMessage,
  type ReceiveMessage,
  type TokenRange,
} from './messages.ts'
import { isReadable, ReceiveQueue } from './receive-queue.ts'
import { notBytes, Scatter } from './scatter.ts'
import { MAX_TOKENS, TokenTable } from './token-table.ts'

const NO_CONTROL = new Uint8Array(0)

/**
 * A socket over a queue of skbs.
 *
 * ```ts
 * import { DevmemSocket, SkbCache } from 'netmem/stack'
 *
 * const socket = new DevmemSocket()
 * const skb = SkbCache.ofPages(pool, 256).take() // what a driver does
 * skb.head.set([1, 2, 3])
 * skb.headLength = 3
 * socket.queue(skb)
 * const { bytes } = socket.recvmsg({ iov: [new Uint8Array(16)] })
 * console.log(bytes) // 3
 * socket.close()
 * ```
 */
export class DevmemSocket {
  /** @internal */
  readonly received: ReceiveQueue = new ReceiveQueue()
  /** @internal */
  readonly tokens: TokenTable
  readonly #bindingId: number | undefined
  readonly #bufferBytes: number
  readonly #strict: boolean
  readonly #waiters = new Waiters()
  #state: 'open' | 'ended' | 'closed' = 'open'
  #error: Error | undefined
  #hostBytes = 0
  #deviceBytes = 0
  #minted = 0
  #dropped = 0

  /** Throws NETMEM_OUT_OF_RANGE and NETMEM_INVALID_ARGUMENT. */
  constructor(options: DevmemSocketOptions = {}) {
    const { bindingId, tokenLimit = MAX_TOKENS, receiveBufferBytes = 2 ** 40 } = options
    this.#strict = options.strict ?? false
    if (bindingId !== undefined) checkInteger('bindingId', bindingId, 1, 2 ** 32 - 1)
    this.#bindingId = bindingId
    this.tokens = new TokenTable(checkInteger('tokenLimit', tokenLimit, 0, MAX_TOKENS))
    this.#bufferBytes = checkInteger('receiveBufferBytes', receiveBufferBytes, 1, 2 ** 40)
  }

  // The stack's side.

  /**
   * Takes over the next skb of the stream; false where it was freed, since the stream has ended or
   * the receive buffer is full. `places` says where net_iovs are, if their cache does not.
   */
  queue(skb: AnySkb, places?: IovPlaces): boolean {
    const bytes = skb.payloadLength
    if (this.#state !== 'open' || this.received.bytes + bytes > this.#bufferBytes) {
      this.#dropped++
      skb.free()
      return false
    }
    if (bytes === 0) {
      skb.free()
      return true
    }
    if (places !== undefined) skb.places = places
    this.received.push(skb)
    if (this.#waiters.waiting) this.#waiters.wake()
    return true
  }

  /** The stream has ended: what is queued can still be read. */
  fin(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#waiters.wake()
  }

  /** The connection broke: `recvmsg` throws `error` once what is queued is read. */
  reset(error: Error): void {
    if (this.#state !== 'open') return
    this.#error = error
    this.fin()
  }

  // The application's side.

  /**
   * Reads what is queued, readable or unreadable data, never both; skbs, frags and linear bytes in
   * parts where the iovec or `control` are too small for the whole. Each part of a frag has a token
   * and a reference of its own. A peek returns readable data alone: it never mints tokens.
   *
   * Throws NETMEM_WOULD_BLOCK (EAGAIN) when nothing is there, NETMEM_UNREADABLE (EFAULT) at device
   * memory without MSG_SOCK_DEVMEM or with MSG_PEEK, NETMEM_CONTROL_SPACE (525, which has no name in
   * user space) when not even one message fits, NETMEM_NO_DEVICE (ENODEV) at a net_iov of another
   * binding, NETMEM_NO_TOKEN (ENOMEM), NETMEM_READABLE (EFAULT) at readable payload with
   * MSG_SOCK_DEVMEM where the socket is strict, NETMEM_SOCKET_CLOSED (EBADF) and what
   * {@link reset} was given. Where some data was read before, it returns that, and throws the next time.
   */
  recvmsg(message: ReceiveMessage): ReceivedMessage {
    const { iov, control = NO_CONTROL, flags = 0 } = message
    checkInteger('flags', flags, 0, 2 ** 31 - 1)
    const target = new Scatter(iov)
    if (!(control instanceof Uint8Array)) throw notBytes('control')
    if (this.#state === 'closed') throw closed()
    if (target.room === 0) return { bytes: 0, controlBytes: 0, flags: 0 }
    const { first } = this.received
    if (first === undefined) return this.#nothing()
    if (isReadable(first)) {
      if ((flags & MSG_SOCK_DEVMEM) !== 0) this.checkStrict()
      const bytes = (flags & MSG_PEEK) !== 0 ? this.#peek(target) : this.#readReadable(target)
      return { bytes, controlBytes: 0, flags: 0 }
    }
    if ((flags & MSG_SOCK_DEVMEM) === 0 || (flags & MSG_PEEK) !== 0) throw unreadable()
    return this.#readUnreadable(target, control)
  }

  /**
   * Gives back what tokens stand for; returns how many there were. Looks at 1024 tokens at most,
   * unknown ones included, and leaves the rest alone without a word.
   * Throws NETMEM_TOKEN_RANGE (EINVAL) for no range or more than 128, NETMEM_OUT_OF_RANGE and
   * NETMEM_SOCKET_CLOSED (EBADF), before anything is freed.
   */
  dontneed(ranges: readonly TokenRange[]): number {
    if (this.#state === 'closed') throw closed()
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
      for (let at = 0; at < walk; at++) if (this.tokens.free(start + at)) freed++
      walked += walk
    }
    return freed
  }

  /** Gives back all tokens and all that nobody has read. A second call does nothing. */
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.received.clear()
    this.tokens.clear()
    this.#waiters.wake()
  }

  /** Whether {@link recvmsg} would return or throw something else than NETMEM_WOULD_BLOCK. */
  get readable(): boolean {
    return this.received.length > 0 || this.#state !== 'open'
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Calls `callback` once, when the socket is {@link readable}: at the end of the current job where it is so already. */
  notify(callback: () => void): void {
    if (this.readable) queueMicrotask(callback)
    else this.#waiters.add(callback)
  }

  /** Resolves when the socket is {@link readable}. */
  whenReadable(): Promise<void> {
    return new Promise((resolve) => this.notify(resolve))
  }

  /** Its counters as they stand. */
  stats(): DevmemSocketStats {
    return {
      hostBytes: this.#hostBytes,
      deviceBytes: this.#deviceBytes,
      minted: this.#minted,
      tokens: this.tokens.size,
      queuedBytes: this.received.bytes,
      dropped: this.#dropped,
    }
  }

  // For what reads frags instead of messages.

  /** @internal Why nothing is there: false at the end of the stream, true where data may come. Throws what {@link recvmsg} would. */
  waits(): boolean {
    if (this.#state === 'closed') throw closed()
    if (this.#state === 'open') return true
    if (this.#error !== undefined) throw this.#error
    return false
  }

  /** @internal To be called at readable payload where device memory was asked for. Throws NETMEM_READABLE. */
  checkStrict(): void {
    if (!this.#strict) return
    throw new DeviceError(
      'NETMEM_READABLE',
      'EFAULT',
      'The payload came in host memory, and this socket takes device memory alone. Check steering rules and header split, or receive it without MSG_SOCK_DEVMEM.',
    )
  }

  /** @internal Marks bytes read that went to host memory. */
  readHost(bytes: number): void {
    this.#hostBytes += bytes
    this.received.consume(bytes)
  }

  /** @internal Where the net_iovs of an skb are. Throws NETMEM_NO_DEVICE and NETMEM_NO_TOKEN. */
  placesFor(skb: Skb<NetIov>): IovPlaces {
    const { places } = skb
    const id = places?.binding.id
    if (places === undefined || (this.#bindingId !== undefined && id !== this.#bindingId)) {
      throw new DeviceError(
        'NETMEM_NO_DEVICE',
        'ENODEV',
        id === undefined
          ? 'Nobody has said where these net_iovs are. Give their SkbCache, or queue(), the provider.'
          : `The data is in memory of binding ${id}, and this socket takes that of binding ${this.#bindingId} alone.`,
      )
    }
    if (this.tokens.full) {
      throw new DeviceError(
        'NETMEM_NO_TOKEN',
        'ENOMEM',
        'All tokens are out. Return those that are no longer needed with dontneed(), or release frags.',
      )
    }
    return places
  }

  /** @internal Reads `bytes` bytes of the frag that `received.locate` found; returns their token. */
  mint(skb: Skb<NetIov>, bytes: number): number {
    const { received, tokens } = this
    const at = received.fragAt
    const iov = skb.frags[at]
    if (iov === undefined) return 0
    // The last part of a frag takes the skb's reference.
    const last = received.fragSkip + bytes === skb.lengths[at]
    const keeper = last ? skb.takeFrag(at) : skb.shareFrag(at)
    const token = tokens.mint(iov, keeper, skb.owner)
    this.#minted++
    this.#deviceBytes += bytes
    received.consume(bytes)
    return token
  }

  #nothing(): ReceivedMessage {
    if (!this.waits()) return { bytes: 0, controlBytes: 0, flags: 0 }
    throw new DeviceError(
      'NETMEM_WOULD_BLOCK',
      'EAGAIN',
      'Nothing has arrived. Wait for whenReadable().',
    )
  }

  #readReadable(target: Scatter): number {
    const { received } = this
    let bytes = 0
    while (target.room > 0) {
      const skb = received.first
      if (skb === undefined || !isReadable(skb)) break
      const part = target.copy(skb, received.consumed, skb.payloadLength)
      bytes += part
      this.readHost(part)
    }
    return bytes
  }

  #peek(target: Scatter): number {
    const { received } = this
    let bytes = 0
    for (let ahead = 0; target.room > 0; ahead++) {
      const skb = received.peek(ahead)
      if (skb === undefined || !isReadable(skb)) break
      bytes += target.copy(skb, ahead === 0 ? received.consumed : 0, skb.payloadLength)
    }
    return bytes
  }

  #readUnreadable(target: Scatter, control: Uint8Array): ReceivedMessage {
    const { received } = this
    let bytes = 0
    let controlBytes = 0
    while (target.room > 0) {
      const skb = received.first
      if (skb === undefined || skb.kind !== 'net_iov' || isReadable(skb)) break
      // The usual end of a call, so nothing is thrown for it.
      if (controlBytes + DEVMEM_CMSG_SPACE > control.length) {
        if (bytes === 0) throw controlSpace()
        break
      }
      try {
        bytes += this.#readPart(skb, target, control, controlBytes)
      } catch (error) {
        if (bytes === 0) throw error
        break
      }
      controlBytes += DEVMEM_CMSG_SPACE
    }
    return { bytes, controlBytes, flags: 0 }
  }

  /** Reads what one control message says; returns its bytes. */
  #readPart(skb: Skb<NetIov>, target: Scatter, control: Uint8Array, at: number): number {
    const { received } = this
    if (!received.locate(skb)) {
      this.checkStrict()
      const linear = target.copy(skb, received.consumed, skb.headLength - skb.payloadOffset)
      putLinear(control, at, linear)
      this.readHost(linear)
      return linear
    }
    const places = this.placesFor(skb)
    const { fragAt, fragSkip } = received
    const iov = skb.frags[fragAt]
    if (iov === undefined) return 0
    const offset = places.offset(iov) + (skb.offsets[fragAt] ?? 0) + fragSkip
    const bytes = Math.min((skb.lengths[fragAt] ?? 0) - fragSkip, target.room)
    target.room -= bytes
    const token = this.mint(skb, bytes)
    putDmabuf(control, at, offset, bytes, token, places.binding.id)
    return bytes
  }
}

function controlSpace(): DeviceError {
  return new DeviceError(
    'NETMEM_CONTROL_SPACE',
    'ETOOSMALL',
    `Not even one control message fits. Give control ${DEVMEM_CMSG_SPACE} bytes for each frag of a call.`,
  )
}

function closed(): DeviceError {
  return new DeviceError(
    'NETMEM_SOCKET_CLOSED',
    'EBADF',
    'The socket is closed; its tokens were given back with it.',
  )
}
