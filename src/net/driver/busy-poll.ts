/**
 * Busy polling, as the kernel has it for sockets (Documentation/networking/napi.rst): after a large
 * read the event loop looks for more a few times before it sleeps. A receiver that is faster than
 * its sender would otherwise sleep after every read, and the sender pay for waking it: with
 * `iperf3 -c` over loopback this made 3.1 GB/s of 2.4, for a tenth more CPU per GB (medians of nine).
 * More rounds made more of it, and more garbage than a receiver should.
 */

/** Rounds of the event loop, of 1 to 3 µs each. */
const ROUNDS = 8

let roundsLeft = 0
let polling = false
let turns = 0

/** Keeps the event loop awake for a few rounds from now. */
export function busyPoll(): void {
  roundsLeft = ROUNDS
  noticeTurn()
}

/**
 * Number of turns of the event loop that were noticed. Two reads between which it changed were not
 * in one turn; of two between which it did not change, nothing is known.
 */
export function noticedTurns(): number {
  return turns
}

/** Sees to it that the end of this turn is noticed. */
export function noticeTurn(): void {
  if (polling) return
  polling = true
  setImmediate(poll)
}

function poll(): void {
  turns++
  if (--roundsLeft > 0) setImmediate(poll)
  else polling = false
}
