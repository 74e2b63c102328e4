/**
 * Reading side of a socket: the queue of received skbs, and the tokens of device memory that was
 * read. `recvmsg` and frags both read through it.
 */

import { type NetIov, type Place, placeOf } from '../../../netmem.ts'
import { DeviceError } from '../../device-error.ts'
import type { Skb } from '../skb/skb.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { TokenTable } from './token-table.ts'

/** Checked options of a reader. */
export interface ReaderOptions {
  readonly bindingId: number | undefined
  readonly tokenLimit: number
  readonly strict: boolean
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

  constructor({ bindingId, tokenLimit, strict }: ReaderOptions) {
    this.tokens = new TokenTable(tokenLimit)
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

  /**
   * Returns the place of a net_iov that is about to get a token.
   *
   * @throws NETMEM_NO_DEVICE for memory of another binding, NETMEM_NO_TOKEN if all tokens are out.
   */
  placeForToken(iov: NetIov): Place {
    const place = placeOf(iov)
    const { id } = place.binding
    if (this.#bindingId !== undefined && id !== this.#bindingId) {
      throw new DeviceError(
        'NETMEM_NO_DEVICE',
        'ENODEV',
        `The data is in memory of binding ${id}, and this socket takes that of binding ${this.#bindingId} alone.`,
      )
    }
    if (this.tokens.full) {
      throw new DeviceError(
        'NETMEM_NO_TOKEN',
        'ENOMEM',
        'All tokens are out. Return those that are no longer needed with dontneed(), or release frags.',
      )
    }
    return place
  }

  /** Reads `bytes` bytes of the frag that `queue.locate` found. Returns their token. */
  mint(skb: Skb<NetIov>, bytes: number): number {
    const { queue } = this
    const at = queue.fragAt
    // The last part of a frag takes the skb's reference.
    const last = queue.fragSkip + bytes === skb.lengths[at]
    const token = this.tokens.mint(last ? skb.takeFrag(at) : skb.shareFrag(at))
    this.minted++
    this.deviceBytes += bytes
    queue.consume(bytes)
    return token
  }

  /** Gives back all that is queued, and all tokens. */
  close(): void {
    this.queue.clear()
    this.tokens.clear()
  }
}
