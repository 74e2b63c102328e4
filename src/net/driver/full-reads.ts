/**
 * Counts the full reads of one socket, to tell whether the next read comes before JavaScript runs
 * again. libuv reads on after a read that filled its buffer, up to {@link READS_PER_TURN} times in
 * one turn of the event loop. A count that is too low would leave memory posted while JavaScript
 * can move it, so the count only goes back where that turn is known to be over.
 */

import { noticedTurns, noticeTurn } from './busy-poll.ts'

/** Reads of one socket in one turn of the event loop, at most (libuv's uv__read: `count = 32`). */
const READS_PER_TURN = 32

export class FullReads {
  #postedBytes = 0
  #count = 0
  #turn = noticedTurns()

  /** Memory of `bytes` bytes was posted. */
  posted(bytes: number): void {
    this.#postedBytes = bytes
  }

  /** A read brought `bytes` bytes. */
  arrived(bytes: number): void {
    if (bytes < this.#postedBytes) {
      this.#count = 0
      return
    }
    const turn = noticedTurns()
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#count = 0
    }
    // Stopping and resuming does not leave libuv's loop, or does: only the turn's end tells.
    if (++this.#count >= READS_PER_TURN) noticeTurn()
  }

  /** A read found nothing. */
  drained(): void {
    this.#count = 0
  }

  /** True if the next read follows without JavaScript in between, unless reading stops. */
  get readsOn(): boolean {
    return this.#count > 0 && this.#count < READS_PER_TURN
  }
}
