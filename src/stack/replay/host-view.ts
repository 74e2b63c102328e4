/** Writes what the host sees of packets into a capture file: device memory is not in it. */

import { hasPartialChecksum } from '../../wire/frame-checksums.ts'
import type { FrameLayout } from '../../wire/frame-layout.ts'
import { makeFrameMemory } from '../../wire/frame-memory.ts'
import { copyPayload } from '../host/skb/readable.ts'
import type { AnySkb } from '../host/skb/skb.ts'
import { type PcapngWriter, writePcapng } from '../link/capture/pcapng-writer.ts'
import { emptyFrame } from '../link/link.ts'

/** Frags of an skb and linear bytes are never more. */
const LARGEST_BYTES = 2 ** 18

export class HostView {
  readonly #writer: PcapngWriter
  readonly #frame = emptyFrame(makeFrameMemory(LARGEST_BYTES))
  readonly #beganMs = performance.now()
  #failure: { readonly error: unknown } | undefined

  /** Throws the system's own error when there can be no file at `path`. */
  constructor(path: string) {
    this.#writer = writePcapng(path, { startNs: BigInt(Date.now()) * 1_000_000n })
  }

  /** Packets written. */
  get packets(): number {
    return this.#writer.packets
  }

  /** Appends a packet, stamped with the present time; `layout` is of it. Fails in {@link check}. */
  write(skb: AnySkb, layout: FrameLayout): void {
    if (this.#failure !== undefined) return
    try {
      this.#write(skb, layout)
    } catch (error) {
      this.#failure = { error }
    }
  }

  /** Throws what writing has failed with. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  close(): void {
    this.#writer.close()
  }

  #write(skb: AnySkb, layout: FrameLayout): void {
    const frame = this.#frame
    const { bytes } = frame.memory
    // A copy by hand: a view of so few bytes costs more.
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
