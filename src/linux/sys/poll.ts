/** poll(2) for threads without an event loop. In a thread with one, use `watch()`. */

import { checked, interrupted } from './failure.ts'
import { POLLFD } from './layouts.ts'
import { libc, Pinned } from './libc.ts'
import type { Fd } from './owned-fd.ts'

/**
 * Lets other threads that are ready on this processor run first: sched_yield(2). A thread that never
 * waits would else keep the one that it has just woken from running, for a slice of some ms.
 */
export function yieldProcessor(): void {
  libc().schedYield()
}

/** Descriptors to wait for, laid out once. */
export class PollSet {
  readonly #entries: Pinned
  readonly #count: number

  /** @param count number of descriptors. */
  constructor(count: number) {
    this.#count = count
    this.#entries = new Pinned(count * POLLFD.BYTES)
    for (let index = 0; index < count; index++) this.clear(index)
  }

  /** Waits for `events` (POLL*) of a descriptor at `index`. */
  set(index: number, fd: Fd, events: number): void {
    this.#entries.view.setInt32(index * POLLFD.BYTES, fd, true)
    this.#entries.view.setInt16(index * POLLFD.BYTES + POLLFD.EVENTS, events, true)
  }

  /** Stops waiting for the descriptor at `index`. */
  clear(index: number): void {
    this.#entries.view.setInt32(index * POLLFD.BYTES, -1, true)
    this.#entries.view.setInt32(index * POLLFD.BYTES + POLLFD.EVENTS, 0, true)
  }

  /** Events (POLL*) of the descriptor at `index` that the last `wait()` found, or 0. */
  events(index: number): number {
    return this.#entries.view.getInt16(index * POLLFD.BYTES + POLLFD.RESULT, true)
  }

  /**
   * Waits until an event, or `timeoutMs`: -1 waits without limit, 0 does not wait. The thread cannot end
   * before. So let one of the descriptors be an eventfd that other threads write.
   *
   * @returns how many descriptors have events.
   */
  wait(timeoutMs: number): number {
    let result: number
    do result = libc().poll(this.#entries.address, this.#count, timeoutMs)
    while (interrupted(result))
    return checked(result, 'poll')
  }
}
