/** What has arrived on a connection and nobody has taken, in order. */

import type { HostFrag } from '../../pool/frag.ts'

export class FragQueue {
  readonly #frags: HostFrag[] = []
  #bytes = 0
  /** Bytes of the first frag that {@link copyTo} has taken. */
  #taken = 0

  /** Frags in it. */
  get length(): number {
    return this.#frags.length
  }

  /** Bytes in it. */
  get bytes(): number {
    return this.#bytes
  }

  push(frag: HostFrag): void {
    this.#frags.push(frag)
    this.#bytes += frag.length
  }

  /** Puts back what {@link shift} returned, or the rest of it. */
  unshift(frag: HostFrag): void {
    this.#frags.unshift(frag)
    this.#bytes += frag.length
  }

  /** The first frag, or what is left of it; `undefined` when there is none. */
  shift(): HostFrag | undefined {
    const frag = this.#frags.shift()
    if (frag === undefined) return undefined
    const taken = this.#taken
    this.#taken = 0
    this.#bytes -= frag.length - taken
    if (taken === 0) return frag
    try {
      return frag.slice(taken)
    } finally {
      frag.release()
    }
  }

  /** Moves bytes of the first frag to `target`, as many as fit; returns how many. */
  copyTo(target: Uint8Array): number {
    const frag = this.#frags[0]
    if (frag === undefined) return 0
    const from = this.#taken
    const bytes = Math.min(frag.length - from, target.byteLength)
    if (bytes > 0) target.set(frag.bytes.subarray(from, from + bytes))
    this.#bytes -= bytes
    this.#taken = from + bytes
    if (this.#taken === frag.length) {
      this.#frags.shift()
      this.#taken = 0
      frag.release()
    }
    return bytes
  }

  /** Gives all of it back. */
  release(): void {
    for (const frag of this.#frags.splice(0)) frag.release()
    this.#bytes = 0
    this.#taken = 0
  }
}
