/** Parts of net/ that http/ uses besides the public face, `index.ts`. The linter keeps http/ out of all others. */

export { checkOptionalBoolean, checkOptionalFunction, checkSignal, invalid } from './arguments.ts'
export { aborted } from './connection-error.ts'
export { unlessAborted } from './interruption.ts'
export { ChunkFrags } from './receivers/chunk-frags.ts'
export { canShrink, destinationGone, destinationView } from './receivers/destination-memory.ts'
