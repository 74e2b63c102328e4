/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `netmem/stack/link`: links, for programs that move frames themselves, without a device or with one
 * of their own. Pairs of links, generators, captures, and wrappers that trace or add faults.
 *
 * @module
 */

export { type CaptureOptions, createCaptureLink } from './capture/capture-link.ts'
export {
  createPcapngWriter,
  type PacketNotes,
  type PcapngOptions,
  type PcapngWriter,
} from './capture/pcapng-writer.ts'
export { VirtualClock } from './clock.ts'
export type { FaultOptions } from './fate.ts'
export { type FaultCounts, faultyLink } from './faults.ts'
export { createGenerator, type GeneratorOptions } from './generator.ts'
export {
  FramePieces,
  type Link,
  type LinkFeatures,
  type LinkFrame,
  ORDINARY_FRAMES,
  type PiecesReceiver,
} from './link.ts'
export { createLinkPair, type LinkPairOptions } from './link-pair.ts'
export { createTapLink, type TapLink, type TapOptions } from './tap/tap-link.ts'
export { type TraceFrame, tracedLink } from './traced-link.ts'
