/**
 * Reading side of a socket: the queue of received skbs, and the tokens of device memory that was
 * read. `recvmsg` and frags both read through it.
 */

import { checkInteger } from '../../../errors.ts'
import { type Binding, type NetIov, type Page, placeOf } from '../../../netmem.ts'
import { copiedFrag, type DeviceFrag, fragOf, type HostFrag } from '../../../pool/frag.ts'
import { DeviceError } from '../../device-error.ts'
import type { AnySkb, Skb } from '../skb/skb.ts'
import type { DevmemSocketOptions } from './messages.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { MAX_TOKENS, TokenTable } from './token-table.ts'

/** Part of a frag of device memory that was read, and the token that holds it. */
interface DevicePart {
  binding: Binding
  offset: number
  length: number
  token: number
}

export class SocketReader {
  readonly queue: ReceiveQueue = new ReceiveQueue()
  readonly tokens: TokenTable
  /** Payload bytes that were read as host bytes. */
  hostBytes = 0
  /** Payload bytes that were read by token. */
  deviceBytes = 0
  /** Tokens minted so far. */
  minted = 0
  readonly #bindingId: number | undefined
  readonly #strict: boolean
  readonly #part: DevicePart = { binding: { id: 0 }, offset: 0, length: 0, token: 0 }

  /** @throws NETMEM_OUT_OF_RANGE */
  constructor({ bindingId, tokenLimit = MAX_TOKENS, strict = false }: DevmemSocketOptions) {
    if (bindingId !== undefined) checkInteger('bindingId', bindingId, 1, 2 ** 32 - 1)
    this.tokens = new TokenTable(checkInteger('tokenLimit', tokenLimit, 0, MAX_TOKENS))
    this.#bindingId = bindingId
    this.#strict = strict
  }

  /**
   * Called at readable payload where device memory was asked for.
   *
   * @throws NETMEM_READABLE if the socket is strict.
   */
  checkStrict(): void {
    if (!this.#strict) return
    throw new DeviceError(
      'NETMEM_READABLE',
      'EFAULT',
      'The payload came in host memory, and this socket takes device memory alone. Check steering rules and header split, or receive it without MSG_SOCK_DEVMEM.',
    )
  }

  /** Marks bytes read that went to host memory. */
  readHost(bytes: number): void {
    this.hostBytes += bytes
    this.queue.consume(bytes)
  }

  /** Reads the rest of the linear bytes of the first skb: a frag with a copy of them. */
  takeLinear(skb: AnySkb): HostFrag {
    const bytes = skb.head.subarray(skb.payloadOffset + this.queue.consumed, skb.headLength)
    const frag = copiedFrag(skb.cache.pool, bytes)
    this.readHost(bytes.length)
    return frag
  }

  /** Reads the rest of the frag that `queue.locate` has found. */
  takePage(skb: Skb<Page>): HostFrag {
    const { fragAt, fragSkip } = this.queue
    const offset = (skb.offsets[fragAt] ?? 0) + fragSkip
    const length = (skb.lengths[fragAt] ?? 0) - fragSkip
    const frag = fragOf(skb.takeFrag(fragAt), offset, length)
    this.readHost(length)
    return frag
  }

  /** Reads the rest of the frag that `queue.locate` has found, and throws as {@link readDevice} does. */
  takeDevice(skb: Skb<NetIov>): DeviceFrag {
    const { binding, offset, length, token } = this.readDevice(skb, Number.POSITIVE_INFINITY)
    return new IovFrag(binding, offset, length, token, this.tokens)
  }

  /**
   * Reads the frag that `queue.locate` has found, at most `maxBytes` of it. Its token holds the memory.
   * Returns the same object each time, so that `recvmsg` makes no garbage.
   *
   * @throws NETMEM_NO_DEVICE for memory of another binding, NETMEM_NO_TOKEN if all tokens are out.
   */
  readDevice(skb: Skb<NetIov>, maxBytes: number): DevicePart {
    const { queue, tokens } = this
    const { fragAt, fragSkip } = queue
    const { binding, offset } = placeOf(skb.frag(fragAt))
    if (this.#bindingId !== undefined && binding.id !== this.#bindingId) {
      throw new DeviceError(
        'NETMEM_NO_DEVICE',
        'ENODEV',
        `The data is in memory of binding ${binding.id}, and this socket takes that of binding ${this.#bindingId} alone.`,
      )
    }
    if (tokens.full) {
      throw new DeviceError(
        'NETMEM_NO_TOKEN',
        'ENOMEM',
        'All tokens are out. Return those that are no longer needed with dontneed(), or release frags.',
      )
    }
    const start = offset + (skb.offsets[fragAt] ?? 0) + fragSkip
    const left = (skb.lengths[fragAt] ?? 0) - fragSkip
    const length = Math.min(left, maxBytes)
    // The last part of a frag takes the skb's reference.
    const token = tokens.mint(length === left ? skb.takeFrag(fragAt) : skb.shareFrag(fragAt))
    this.minted++
    this.deviceBytes += length
    queue.consume(length)
    const part = this.#part
    part.binding = binding
    part.offset = start
    part.length = length
    part.token = token
    return part
  }
}

class IovFrag implements DeviceFrag {
  readonly kind = 'net_iov'
  readonly binding: Binding
  readonly offset: number
  readonly length: number
  readonly token: number
  /** Serial of the token's use: the application may have freed it by number, and another frag may have it. */
  readonly #serial: number
  readonly #tokens: TokenTable

  constructor(binding: Binding, offset: number, length: number, token: number, tokens: TokenTable) {
    this.binding = binding
    this.offset = offset
    this.length = length
    this.token = token
    this.#serial = tokens.serial(token)
    this.#tokens = tokens
  }

  release(): void {
    if (this.#tokens.serial(this.token) === this.#serial) this.#tokens.free(this.token)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
