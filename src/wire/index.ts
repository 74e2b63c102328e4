/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `netmem/stack/wire`: frames and their parts, for authors of links, NICs and tests: the layout of a
 * frame, memory that frames are made in, and the hash that spreads flows over queues.
 *
 * @module
 */

export { FrameKind, FrameLayout, parseFrame } from './frame-layout.ts'
export { createFrameMemory, type FrameMemory } from './frame-memory.ts'
export { createToeplitzTable, DEFAULT_RSS_KEY, toeplitzHash } from './toeplitz.ts'
