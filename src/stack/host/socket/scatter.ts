/** The iovec of one call, and the place in it where the next bytes go. */

import { ArgumentTypeError } from '../../../errors.ts'
import { copyPayload } from '../skb/readable.ts'
import type { AnySkb } from '../skb/skb.ts'

/** Writer of an iovec. */
export class Scatter {
  /** Bytes that the call may still return. */
  room = 0
  readonly #iov: readonly Uint8Array[]
  #index = 0
  #at = 0

  constructor(iov: readonly Uint8Array[]) {
    this.#iov = iov
    for (const part of iov) {
      if (!(part instanceof Uint8Array)) throw notBytes('Every part of iov')
      this.room += part.length
    }
  }

  /** Copies readable payload of `skb` from byte `offset` up to `end`, as far as there is room. Returns the bytes copied. */
  copy(skb: AnySkb, offset: number, end: number): number {
    const bytes = Math.min(end - offset, this.room)
    let copied = 0
    while (copied < bytes) {
      const part = this.#iov[this.#index]
      if (part === undefined) break
      const length = Math.min(part.length - this.#at, bytes - copied)
      copyPayload(skb, offset + copied, part, this.#at, length)
      copied += length
      this.#at += length
      if (this.#at === part.length) {
        this.#index++
        this.#at = 0
      }
    }
    this.room -= copied
    return copied
  }
}

export function notBytes(what: string): ArgumentTypeError {
  return new ArgumentTypeError('NETMEM_INVALID_ARGUMENT', `${what} must be a Uint8Array.`)
}
