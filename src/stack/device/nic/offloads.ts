/** What a NIC computes over a frame: given to it, since the codecs are not its own. */

import type { FrameLayout } from '../../../wire/frame-layout.ts'
import type { FrameMemory } from '../../../wire/frame-memory.ts'

/** What {@link NicOffloads.verify} finds. Nothing wrong, but nothing proven either: no checksum, no TCP or UDP. */
export const CHECKSUM_NONE = 0
export const CHECKSUM_OK = 1
export const CHECKSUM_BAD = 2

/** Each is called with the layout of an IP frame: `kind` is `fragment` or above. */
export interface NicOffloads {
  /** The RSS hash of the flow, as signed 32-bit; of TCP and UDP over the ports as well. */
  hashFlow(bytes: Uint8Array, frameOffset: number, layout: FrameLayout): number
  /** Checks all checksums of a frame that is not cut: {@link CHECKSUM_OK}, `_BAD` or `_NONE`. */
  verify(memory: FrameMemory, frameOffset: number, layout: FrameLayout): number
  /** Writes IPv4's checksum, and TCP's or UDP's; false where there is none of the latter. */
  fill(memory: FrameMemory, frameOffset: number, layout: FrameLayout): boolean
}
