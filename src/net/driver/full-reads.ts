/**
 * Counts the full reads of one socket, to tell whether the next read comes before JavaScript runs
 * again. After a read that filled its buffer libuv reads again, up to {@link READS_PER_TURN} times
 * in one turn of the event loop. A count that is too low would leave memory posted while JavaScript
 * can move it. So the count is reset only when that turn is known to be over.
 */

import { countedTurns, countTurn } from './busy-poll.ts'

/** Most reads of one socket in one turn of the event loop (uv__read of libuv: `count = 32`). */
const READS_PER_TURN = 32

export class FullReads {
  #postedBytes = 0
  #count = 0
  #turn = countedTurns()

  /** Notes that memory of `bytes` bytes was posted. */
  posted(bytes: number): void {
    this.#postedBytes = bytes
  }

  /** Notes a read of `bytes` bytes. */
  arrived(bytes: number): void {
    if (bytes < this.#postedBytes) {
      this.#count = 0
      return
    }
    const turn = countedTurns()
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#count = 0
    }
    // A pause leaves the loop of libuv or does not. The end of the turn shows it.
    if (++this.#count >= READS_PER_TURN) countTurn()
  }

  /** Notes a read that found nothing. */
  drained(): void {
    this.#count = 0
  }

  /** True if the next read follows before JavaScript runs, unless reading stops. */
  get readsOn(): boolean {
    return this.#count > 0 && this.#count < READS_PER_TURN
  }
}
