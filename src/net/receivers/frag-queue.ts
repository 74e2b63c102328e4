/** Frags that have arrived on a connection and have not been received, in their order. */

import { type HostFrag, pageOf } from '../../pool/frag.ts'
import type { MemoryUser, MemoryVisitor } from '../../pool/memory-users.ts'
import type { Receiver } from './receiver.ts'

export class FragQueue implements MemoryUser {
  readonly #frags: HostFrag[] = []
  /** Bytes in it. */
  bytes = 0
  /** Bytes of the first frag that {@link offer} has passed on. */
  #taken = 0

  /** Frags in it. */
  get length(): number {
    return this.#frags.length
  }

  push(frag: HostFrag): void {
    this.#frags.push(frag)
    this.bytes += frag.length
  }

  /** Removes the first frag, or the rest of it. Returns `undefined` if the queue is empty. */
  shift(): HostFrag | undefined {
    const taken = this.#taken
    const frag = this.#first()
    if (frag === undefined || taken === 0) return frag
    try {
      return frag.slice(taken)
    } finally {
      frag.release()
    }
  }

  /**
   * Passes the bytes of the first frag to `receiver`. Those that it leaves stay in the queue. The
   * frag is out of the queue during the call, since the receiver may empty the queue.
   * @throws NETMEM_DESTINATION_DETACHED if the pool's memory is gone. The frag is released.
   */
  offer(receiver: Receiver): void {
    const from = this.#taken
    const frag = this.#first()
    if (frag === undefined) return
    let taken = frag.length
    try {
      const bytes = from === 0 ? frag.bytes : frag.bytes.subarray(from)
      taken = from + receiver.arrived(bytes.byteLength, bytes)
    } finally {
      if (taken < frag.length) {
        this.#frags.unshift(frag)
        this.#taken = taken
        this.bytes += frag.length - taken
      } else {
        frag.release()
      }
    }
  }

  visitMemory(visit: MemoryVisitor): void {
    for (const frag of this.#frags) {
      const page = pageOf(frag)
      if (page !== undefined) visit(page, 'sockets')
    }
  }

  /** Gives all frags back. */
  release(): void {
    for (const frag of this.#frags.splice(0)) frag.release()
    this.bytes = 0
    this.#taken = 0
  }

  #first(): HostFrag | undefined {
    const frag = this.#frags.shift()
    if (frag !== undefined) this.bytes -= frag.length - this.#taken
    this.#taken = 0
    return frag
  }
}
