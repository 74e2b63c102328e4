/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Writes the bytes of packets that the host can read into a capture file, without those in device
 * memory.
 */

import { hasPartialChecksum } from '../../wire/frame-checksums.ts'
import type { FrameLayout } from '../../wire/frame-layout.ts'
import { createFrameMemory } from '../../wire/frame-memory.ts'
import { copyPayload } from '../host/skb/readable.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { createPcapngWriter, type PcapngWriter } from '../link/capture/pcapng-writer.ts'
import { emptyFrame } from '../link/link.ts'

/** Limit of the bytes of an skb, linear ones and frags. */
const LARGEST_BYTES = 2 ** 18

export class HostView implements Disposable {
  readonly #writer: PcapngWriter
  readonly #frame = emptyFrame(createFrameMemory(LARGEST_BYTES))
  readonly #beganMs = performance.now()
  #failure: { readonly error: unknown } | undefined

  /** @throws the system's own error if the file cannot be made. */
  constructor(path: string) {
    this.#writer = createPcapngWriter(path, { startNs: BigInt(Date.now()) * 1_000_000n })
  }

  /**
   * Appends a packet with its layout, stamped with the present time. {@link check} throws its
   * errors.
   */
  write(skb: AnySkb, layout: FrameLayout): void {
    if (this.#failure !== undefined) return
    try {
      this.#write(skb, layout)
    } catch (error) {
      this.#failure = { error }
    }
  }

  /** @throws the error of a failed write. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  [Symbol.dispose](): void {
    this.#writer.close()
  }

  #write(skb: AnySkb, layout: FrameLayout): void {
    const frame = this.#frame
    const { bytes } = frame.memory
    // A loop: a view of these few bytes would cost more.
    for (let at = 0; at < skb.headLength; at++) bytes[at] = skb.head[at] ?? 0
    let length = skb.headLength
    if (skb.kind === 'page') {
      const linear = skb.headLength - skb.payloadOffset
      length += copyPayload(skb, linear, bytes, length, LARGEST_BYTES - length)
    }
    frame.length = length
    const wireBytes = layout.headerLength === 0 ? 0 : layout.headerLength + layout.payloadLength
    frame.originalLength = Math.max(skb.headLength + skb.dataLength, wireBytes)
    frame.timeNs = Math.round((performance.now() - this.#beganMs) * 1e6)
    frame.checksum = hasPartialChecksum(bytes, 0, layout) ? 'partial' : 'complete'
    const { queue, hash } = skb
    this.#writer.write(frame, hash === 0 ? { queue } : { queue, hash })
  }
}
