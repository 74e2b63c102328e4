/** Parts of net/ that http/ and linux/ use besides the public face, `index.ts`. The linter keeps them out of all others. */

export { checkOptionalBoolean, checkOptionalFunction, checkSignal, invalid } from './arguments.ts'
export { aborted, setUpError } from './connection-error.ts'
export { errorOf } from './connection-state.ts'
export { unlessAborted } from './interruption.ts'
export { canShrink, destinationGone, destinationView } from './receivers/destination-memory.ts'
export { pipeTo } from './receivers/pipe.ts'
export { rejectedAtCaller } from './rejected-at-caller.ts'
export { isSendable } from './vectored-write.ts'
