/** Queue of the skbs that a socket has received, in order. The first may be read in part. */

import { addMemoryUser, type MemoryUser, type MemoryVisitor } from '../../../pool/memory-users.ts'
import { coalesce, continues } from '../skb/coalesce.ts'
import type { AnySkb } from '../skb/skb.ts'

/** True if the host may read an skb. An skb of either kind without frags has only linear bytes. */
export function isReadable(skb: AnySkb): boolean {
  return skb.kind === 'page' || skb.fragCount === 0
}

export class ReceiveQueue implements MemoryUser {
  // A ring: shifting an array moves or copies it for each skb.
  #ring: (AnySkb | undefined)[] = new Array<AnySkb | undefined>(64).fill(undefined)
  #first = 0
  /** Number of skbs. */
  length = 0
  /** Number of payload bytes that are not read. */
  bytes = 0
  /** Number of payload bytes of the first skb that are read. */
  consumed = 0
  /** Index of the frag that {@link locate} found. */
  fragAt = 0
  /** Bytes of that frag that are read. */
  fragSkip = 0

  constructor() {
    addMemoryUser(this)
  }

  visitMemory(visit: MemoryVisitor): void {
    for (let ahead = 0; ahead < this.length; ahead++) {
      for (const m of this.peek(ahead)?.frags ?? []) if (m !== undefined) visit(m, 'sockets')
    }
  }

  /** The first skb, or `undefined` if the queue is empty. */
  get first(): AnySkb | undefined {
    return this.#ring[this.#first]
  }

  /** Returns the skb `ahead` places behind the first, or `undefined` if there is none. */
  peek(ahead: number): AnySkb | undefined {
    if (ahead < 0 || ahead >= this.length) return undefined
    return this.#ring[(this.#first + ahead) & (this.#ring.length - 1)]
  }

  /**
   * Takes over an skb with at least one byte of payload. An skb that continues the last one in the same
   * netmem is merged into it, so that a slow reader gets few large frags (Linux, tcp_try_coalesce).
   */
  push(skb: AnySkb): void {
    this.bytes += skb.payloadLength
    const last = this.peek(this.length - 1)
    if (last !== undefined && joins(last, skb)) return
    if (this.length === this.#ring.length) this.#grow()
    this.#ring[(this.#first + this.length) & (this.#ring.length - 1)] = skb
    this.length++
  }

  /** Marks the next `bytes` bytes of the first skb read. Frees the skb when all are read. */
  consume(bytes: number): void {
    const skb = this.first
    if (skb === undefined) return
    this.bytes -= bytes
    this.consumed += bytes
    if (this.consumed < skb.payloadLength) return
    this.#ring[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#ring.length - 1)
    this.length--
    this.consumed = 0
    // Last, since a put may wake a receiver that waits for memory.
    skb.free()
  }

  /** Frees all skbs. */
  clear(): void {
    for (let skb = this.first; skb !== undefined; skb = this.first) {
      this.consume(skb.payloadLength - this.consumed)
    }
  }

  /** Finds the frag of the next unread byte of `skb`, the first one. Returns false if that byte is linear. */
  locate(skb: AnySkb): boolean {
    let skip = this.consumed - (skb.headLength - skb.payloadOffset)
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

  #grow(): void {
    const longer = new Array<AnySkb | undefined>(2 * this.#ring.length).fill(undefined)
    for (let at = 0; at < this.length; at++) longer[at] = this.peek(at)
    this.#ring = longer
    this.#first = 0
  }
}

function joins(last: AnySkb, skb: AnySkb): boolean {
  if (last.kind === 'page')
    return skb.kind === 'page' && continues(last, skb) && coalesce(last, skb)
  return skb.kind === 'net_iov' && continues(last, skb) && coalesce(last, skb)
}
