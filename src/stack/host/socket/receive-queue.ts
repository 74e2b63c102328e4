/** What a socket has received and nobody has read: skbs in order, the first perhaps in part. */

import { coalesce, continues } from '../skb/coalesce.ts'
import type { AnySkb } from '../skb/skb.ts'

/** Whether the host may read an skb: one without frags has linear bytes alone, whatever its kind. */
export function isReadable(skb: AnySkb): boolean {
  return skb.kind === 'page' || skb.fragCount === 0
}

export class ReceiveQueue {
  // A ring: an array that is shifted would be moved, or copied, for each skb.
  #ring: (AnySkb | undefined)[] = new Array<AnySkb | undefined>(64).fill(undefined)
  #first = 0
  #length = 0
  #bytes = 0
  #consumed = 0
  /** The frag that {@link locate} found, and the bytes of it that are read. */
  fragAt = 0
  fragSkip = 0

  /** Skbs in it. */
  get length(): number {
    return this.#length
  }

  /** Payload bytes that are not read. */
  get bytes(): number {
    return this.#bytes
  }

  /** Payload bytes of the first skb that are read. */
  get consumed(): number {
    return this.#consumed
  }

  get first(): AnySkb | undefined {
    return this.#ring[this.#first]
  }

  /** The skb `ahead` places behind the first. */
  peek(ahead: number): AnySkb | undefined {
    if (ahead < 0 || ahead >= this.#length) return undefined
    return this.#ring[(this.#first + ahead) & (this.#ring.length - 1)]
  }

  /**
   * Takes over an skb with at least one byte of payload. What goes on in the same netmem becomes one
   * with the last skb, so that a reader who is behind gets few large frags (Linux, tcp_try_coalesce).
   */
  push(skb: AnySkb): void {
    this.#bytes += skb.payloadLength
    const last = this.peek(this.#length - 1)
    if (last !== undefined && joins(last, skb)) return
    if (this.#length === this.#ring.length) this.#grow()
    this.#ring[(this.#first + this.#length) & (this.#ring.length - 1)] = skb
    this.#length++
  }

  /** Marks the next `bytes` bytes of the first skb read, and frees it when it is read up. */
  consume(bytes: number): void {
    const skb = this.first
    if (skb === undefined) return
    this.#bytes -= bytes
    this.#consumed += bytes
    if (this.#consumed < skb.payloadLength) return
    this.#drop()
    skb.free()
  }

  /** Finds the frag that the next byte of `skb`, which is the first one, is in; false where that is linear. */
  locate(skb: AnySkb): boolean {
    let skip = this.#consumed - (skb.headLength - skb.payloadOffset)
    if (skip < 0) return false
    let at = 0
    while (at < skb.fragCount && skip >= (skb.lengths[at] ?? 0)) {
      skip -= skb.lengths[at] ?? 0
      at++
    }
    this.fragAt = at
    this.fragSkip = skip
    return true
  }

  /** Frees all of it. */
  clear(): void {
    for (let skb = this.first; skb !== undefined; skb = this.first) {
      this.#bytes -= skb.payloadLength - this.#consumed
      this.#drop()
      skb.free()
    }
  }

  #drop(): void {
    this.#ring[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#ring.length - 1)
    this.#length--
    this.#consumed = 0
  }

  #grow(): void {
    const longer = new Array<AnySkb | undefined>(2 * this.#ring.length).fill(undefined)
    for (let at = 0; at < this.#length; at++) longer[at] = this.peek(at)
    this.#ring = longer
    this.#first = 0
  }
}

function joins(last: AnySkb, skb: AnySkb): boolean {
  if (last.kind === 'page')
    return skb.kind === 'page' && continues(last, skb) && coalesce(last, skb)
  return skb.kind === 'net_iov' && continues(last, skb) && coalesce(last, skb)
}
