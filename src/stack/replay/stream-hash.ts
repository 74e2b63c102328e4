/** Hashing a stream whose bytes may be where the host cannot read. */

import { createHash } from 'node:crypto'
import type { AnySkb } from '../host/skb/skb.ts'

/** The SHA-256 of one stream, whose skbs it takes over and frees. */
export interface StreamHash {
  /** Goes on with the payload of an skb. */
  update(skb: AnySkb): void
  /** The hash in hexadecimal; nothing may follow. */
  digest(): Promise<string>
}

/** Of what the host can read, at once. */
export class HostHash implements StreamHash {
  readonly #hash = createHash('sha256')

  update(skb: AnySkb): void {
    if (skb.kind === 'page') {
      if (skb.headLength > skb.payloadOffset) {
        this.#hash.update(skb.head.subarray(skb.payloadOffset, skb.headLength))
      }
      for (let at = 0; at < skb.fragCount; at++) {
        const page = skb.frags[at]
        if (page === undefined) continue
        const offset = skb.offsets[at] ?? 0
        this.#hash.update(skb.owner.bytes(page).subarray(offset, offset + (skb.lengths[at] ?? 0)))
      }
    }
    skb.free()
  }

  digest(): Promise<string> {
    return Promise.resolve(this.#hash.digest('hex'))
  }
}
