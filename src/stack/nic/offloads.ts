/** What a NIC computes over a frame: given to it, since the codecs are not its own. */

import type { FrameLayout } from '../wire/frame-layout.ts'
import type { FrameMemory } from '../wire/frame-memory.ts'

export interface NicOffloads {
  /** The RSS hash of an IP frame, as signed 32-bit; of TCP and UDP over the ports as well. */
  hashFlow(bytes: Uint8Array, frameOffset: number, layout: FrameLayout): number
  /** Whether all checksums of a TCP or UDP frame are right. */
  verify(memory: FrameMemory, frameOffset: number, layout: FrameLayout): boolean
  /** Writes the checksums of an IP frame: IPv4's own, TCP's or UDP's. */
  fill(memory: FrameMemory, frameOffset: number, layout: FrameLayout): void
}
