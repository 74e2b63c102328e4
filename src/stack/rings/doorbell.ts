/**
 * The doorbell of a device's thread, which sleeps in one of two ways. It sleeps on a word of the
 * doorbell. While it has descriptors of the kernel to wait for, it sleeps in poll(2). Then an eventfd
 * among them wakes it, which is written only while it sleeps.
 *
 * The stack's thread opens the eventfd and closes it, so that its number is never another file's while
 * that thread rings. Nothing but an event ends poll(2), not even the end of its thread: so every end
 * writes the eventfd first.
 */

import { EFD_NONBLOCK } from '../../linux/sys/constants.ts'
import { eventfd, read, write } from '../../linux/sys/files.ts'
import { type Fd, isFd, type OwnedFd } from '../../linux/sys/owned-fd.ts'
import type { PollSet } from '../../linux/sys/poll.ts'

/** Counts rings. */
const WORK = 0
const ASLEEP = 1
/** Number of the eventfd and 1. 0 without one. */
const EVENTFD = 2
/** Drivers that nap. */
const NAPPING = 3
/** Counts completions while a driver naps. */
const COMPLETIONS = 4
const WORDS = 5

// Values of ASLEEP.
const AWAKE = 0
const WAITS = 1
const POLLS = 2

/** Bound of a sleep in poll(2). A worker of a worker may end without running code that could wake it. */
const POLL_LIMIT_MS = 1000

const ONE = new BigUint64Array([1n])
const counter = new BigUint64Array(1)

/** Makes the doorbell of a NIC. */
export function createDoorbell(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * WORDS)
}

/** Wakes a NIC that sleeps until there is work. */
export function ringDoorbell(doorbell: Int32Array): void {
  Atomics.add(doorbell, WORK, 1)
  const asleep = Atomics.load(doorbell, ASLEEP)
  if (asleep === WAITS) Atomics.notify(doorbell, WORK)
  else if (asleep === POLLS) wakePoller(doorbell)
}

/** Returns the count of work that a NIC has seen when it looks for some, for {@link sleepUntilWork}. */
export function workSeen(doorbell: Int32Array): number {
  return Atomics.load(doorbell, WORK)
}

/**
 * Blocks a NIC's thread until the doorbell rings or `timeoutMs` have passed. Returns at once if it
 * rang since `seen`.
 */
export function sleepUntilWork(doorbell: Int32Array, seen: number, timeoutMs: number): void {
  Atomics.store(doorbell, ASLEEP, WAITS)
  Atomics.wait(doorbell, WORK, seen, timeoutMs)
  Atomics.store(doorbell, ASLEEP, AWAKE)
}

/** Ends the naps of drivers: a NIC calls it when it has completed something. */
export function endNaps(doorbell: Int32Array): void {
  if (Atomics.load(doorbell, NAPPING) === 0) return
  Atomics.add(doorbell, COMPLETIONS, 1)
  Atomics.notify(doorbell, COMPLETIONS)
}

/**
 * Blocks a driver's thread until a NIC completes something, or `timeoutMs` have passed.
 *
 * @param look finds what was completed before. Returns its number: if there is some, there is no nap.
 */
export function nap(doorbell: Int32Array, timeoutMs: number, look: () => number): number {
  Atomics.add(doorbell, NAPPING, 1)
  const seen = Atomics.load(doorbell, COMPLETIONS)
  const found = look()
  if (found === 0) Atomics.wait(doorbell, COMPLETIONS, seen, timeoutMs)
  Atomics.sub(doorbell, NAPPING, 1)
  return found
}

/** Returns the eventfd to poll. `undefined` without one, and once the thread is about to be ended. */
export function eventfdOf(doorbell: Int32Array): Fd | undefined {
  const fd = Atomics.load(doorbell, EVENTFD) - 1
  return isFd(fd) ? fd : undefined
}

/**
 * Sleeps in poll(2) until there is work, as {@link sleepUntilWork} does, or until a descriptor of `set`
 * has an event.
 *
 * @param wake eventfd that ends the sleep. It is in `set`.
 */
export function pollUntilWork(
  doorbell: Int32Array,
  seen: number,
  timeoutMs: number,
  set: PollSet,
  wake: Fd,
): void {
  Atomics.store(doorbell, ASLEEP, POLLS)
  const rang = Atomics.load(doorbell, WORK) !== seen
  if (!rang) set.wait(Math.min(Math.floor(timeoutMs), POLL_LIMIT_MS))
  // A thread that took this one for asleep has written the eventfd, or is about to.
  if (Atomics.exchange(doorbell, ASLEEP, AWAKE) !== POLLS) read(wake, counter)
}

function wakePoller(doorbell: Int32Array): void {
  // The exchange lets one of several callers write.
  if (Atomics.compareExchange(doorbell, ASLEEP, POLLS, AWAKE) !== POLLS) return
  const fd = eventfdOf(doorbell)
  if (fd !== undefined) write(fd, ONE)
}

/** Lets a device's thread sleep in poll(2), until {@link end}. Belongs to the thread that starts and ends the device. */
export class Waker {
  readonly #doorbell: Int32Array
  readonly #eventfd: OwnedFd

  /** @throws NETMEM_LINUX_UNAVAILABLE, NETMEM_SYSCALL_FAILED. */
  constructor(doorbell: Int32Array) {
    this.#doorbell = doorbell
    this.#eventfd = eventfd(0, EFD_NONBLOCK)
    Atomics.store(doorbell, EVENTFD, this.#eventfd.fd + 1)
    if (open.size === 0) process.on('exit', endAll)
    open.add(this)
  }

  /** Wakes the thread, which polls no more: it can be terminated at once. */
  end(): void {
    if (!this.#eventfd.open) return
    Atomics.store(this.#doorbell, EVENTFD, 0)
    write(this.#eventfd.fd, ONE)
  }

  /** Closes the eventfd. The thread has ended. */
  close(): void {
    this.end()
    open.delete(this)
    if (open.size === 0) process.off('exit', endAll)
    this.#eventfd.close()
  }
}

/** Wakers of this thread. */
const open = new Set<Waker>()

function endAll(): void {
  for (const waker of open) waker.end()
}
