/** Sleep of the device's thread: until the doorbell rings, a frame is due, or the kernel has one. */

import { POLLIN } from '../../linux/sys/constants.ts'
import type { Fd } from '../../linux/sys/owned-fd.ts'
import { PollSet } from '../../linux/sys/poll.ts'
import { eventfdOf, pollUntilWork, sleepUntilWork } from '../rings/doorbell.ts'

export class Sleeper {
  readonly #doorbell: Int32Array
  #set: PollSet | undefined
  #places = 0

  constructor(doorbell: Int32Array) {
    this.#doorbell = doorbell
  }

  /**
   * Blocks until the doorbell rings, a descriptor can be read, or for `timeoutMs`, which may be
   * `Infinity`.
   *
   * @param seen count of work that the device has seen.
   */
  sleep(seen: number, timeoutMs: number, descriptors: readonly Fd[]): void {
    const doorbell = this.#doorbell
    const wake = descriptors.length === 0 ? undefined : eventfdOf(doorbell)
    // poll(2) counts whole milliseconds.
    if (wake === undefined || timeoutMs < 1) sleepUntilWork(doorbell, seen, timeoutMs)
    else pollUntilWork(doorbell, seen, timeoutMs, this.#laidOut([wake, ...descriptors]), wake)
  }

  /** Returns a set of these descriptors: the one before, if it has as many places. */
  #laidOut(descriptors: readonly Fd[]): PollSet {
    const places = descriptors.length
    const set = places === this.#places && this.#set ? this.#set : new PollSet(places)
    this.#places = places
    this.#set = set
    for (const [at, fd] of descriptors.entries()) set.set(at, fd, POLLIN)
    return set
  }
}
