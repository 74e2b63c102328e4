/**
 * Parts of net/ for http/ and linux/, besides the public face, `index.ts`. The linter lets those two import
 * no other file of net/.
 */

export { checkOptionalBoolean, checkOptionalFunction, checkSignal, invalid } from './arguments.ts'
export { aborted, setUpError } from './connection-error.ts'
export { errorOf } from './connection-state.ts'
export { Interruption, unlessAborted } from './interruption.ts'
export { canShrink, destinationGone, destinationView } from './receivers/destination-memory.ts'
export { pipeTo } from './receivers/pipe.ts'
export { rejectedAtCaller } from './rejected-at-caller.ts'
export { isSendable } from './vectored-write.ts'
