/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `netmem/stack/wire`: frames and their parts, for authors of links, NICs and tests: the layout of a
 * frame, memory that frames are made in, and the hash that spreads flows over queues.
 *
 * @module
 */

export { FrameKind, FrameLayout, parseFrame } from './frame-layout.ts'
export { type FrameMemory, makeFrameMemory } from './frame-memory.ts'
export { DEFAULT_RSS_KEY, makeToeplitzTable, toeplitzHash } from './toeplitz.ts'
