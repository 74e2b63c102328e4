/**
 * Busy polling, like the kernel's for sockets (Documentation/networking/napi.rst). After a large read the
 * event loop looks for more a few times before it sleeps. Otherwise a receiver that is faster than its
 * sender sleeps after every read, and the sender pays for waking it. With `iperf3 -c` over loopback this
 * raised 2.4 GB/s to 3.1, for a tenth more CPU per GB (medians of nine). More rounds raised it further,
 * and made more garbage.
 */

/** Rounds of the event loop, of 1 to 3 µs each. */
const ROUNDS = 8

let roundsLeft = 0
let polling = false
let turns = 0

/** Keeps the event loop awake for a few rounds from now. */
export function busyPoll(): void {
  roundsLeft = ROUNDS
  countTurn()
}

/**
 * Number of turns of the event loop that were counted. If it changed between two reads, they were
 * in different turns. If it did not, they may or may not have been.
 */
export function countedTurns(): number {
  return turns
}

/** Counts the end of this turn. */
export function countTurn(): void {
  if (polling) return
  polling = true
  setImmediate(poll)
}

function poll(): void {
  turns++
  if (--roundsLeft > 0) setImmediate(poll)
  else polling = false
}
