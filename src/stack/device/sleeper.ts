/** Sleep of the device's thread: until the doorbell rings, a frame is due, or the kernel has one. */

import { POLLIN } from '../../linux/sys/constants.ts'
import type { Fd } from '../../linux/sys/owned-fd.ts'
import { PollSet } from '../../linux/sys/poll.ts'
import { eventfdOf, pollUntilWork, sleepUntilWork } from '../rings/doorbell.ts'

/** Knows the descriptors that a frame may come from. */
interface Descriptors {
  addDescriptors(into: Fd[]): void
}

export class Sleeper {
  readonly #doorbell: Int32Array
  readonly #device: Descriptors
  /** Descriptors of this sleep. One array for all. */
  readonly #descriptors: Fd[] = []
  #set: PollSet | undefined
  /** Places of the set. The eventfd has the first one. */
  #places = 0

  constructor(doorbell: Int32Array, device: Descriptors) {
    this.#doorbell = doorbell
    this.#device = device
  }

  /**
   * Blocks until one of them, or for `timeoutMs`, which may be `Infinity`.
   *
   * @param seen count of work that the device has seen.
   */
  sleep(seen: number, timeoutMs: number): void {
    const descriptors = this.#descriptors
    descriptors.length = 0
    this.#device.addDescriptors(descriptors)
    const wake = descriptors.length === 0 ? undefined : eventfdOf(this.#doorbell)
    // poll(2) counts whole milliseconds.
    if (wake === undefined || timeoutMs < 1) sleepUntilWork(this.#doorbell, seen, timeoutMs)
    else pollUntilWork(this.#doorbell, seen, timeoutMs, this.#laidOut(wake), wake)
  }

  #laidOut(wake: Fd): PollSet {
    const descriptors = this.#descriptors
    const places = 1 + descriptors.length
    if (places > this.#places) this.#set = undefined
    this.#places = Math.max(places, this.#places)
    const set = this.#set ?? new PollSet(this.#places)
    this.#set = set
    set.set(0, wake, POLLIN)
    for (let at = 0; at < descriptors.length; at++) {
      const fd = descriptors[at]
      if (fd !== undefined) set.set(1 + at, fd, POLLIN)
    }
    for (let at = places; at < this.#places; at++) set.clear(at)
    return set
  }
}
