/** Hashes of streams whose bytes may be in device memory. */

import { createHash } from 'node:crypto'
import { bytesOf } from '../../netmem.ts'
import type { AnySkb } from '../host/skb/skb.ts'

/** SHA-256 of one stream. It takes over the stream's skbs and frees them. */
export interface StreamHash {
  /** Adds the payload of an skb. */
  update(skb: AnySkb): void
  /** Returns the hash in hexadecimal. Nothing may be added afterwards. */
  digest(): Promise<string>
}

/** Hash of bytes that the host can read, computed at once. */
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
        this.#hash.update(bytesOf(page).subarray(offset, offset + (skb.lengths[at] ?? 0)))
      }
    }
    skb.free()
  }

  digest(): Promise<string> {
    return Promise.resolve(this.#hash.digest('hex'))
  }
}
