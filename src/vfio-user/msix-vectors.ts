/** Interrupts of a device: for each vector an eventfd of QEMU's, and what is pending without one. */

import { readlinkSync } from 'node:fs'
import { F_GETFL, F_SETFL, fcntl, O_NONBLOCK, type OwnedFd, write } from '../linux/sys/index.ts'

const ONE = new BigUint64Array([1n])

export class MsixVectors {
  readonly count: number
  readonly #eventfds: (OwnedFd | undefined)[]
  readonly #pending: Uint8Array
  /** True from the first setting until the guest turns interrupts off. */
  #enabled = false

  constructor(count: number) {
    this.count = count
    this.#eventfds = new Array<OwnedFd | undefined>(count).fill(undefined)
    this.#pending = new Uint8Array(count)
  }

  /** Interrupts the guest. A vector without an eventfd stays pending until it has one. */
  raise(vector: number): void {
    if (!this.#enabled || !(vector >= 0 && vector < this.count)) return
    const eventfd = this.#eventfds[vector]
    if (eventfd === undefined) this.#pending[vector] = 1
    // A counter at its highest is not written: QEMU has not yet taken the last interrupt.
    else write(eventfd.fd, ONE)
  }

  /** Sets or removes the eventfd of a vector. Closes the eventfd of before. */
  connect(vector: number, eventfd: OwnedFd | undefined): void {
    this.#eventfds[vector]?.close()
    this.#eventfds[vector] = eventfd
    this.#enabled = true
    if (eventfd === undefined || this.#pending[vector] === 0) return
    this.#pending[vector] = 0
    this.raise(vector)
  }

  /** Turns interrupts off: closes all eventfds and drops pending interrupts. */
  disable(): void {
    this.#enabled = false
    this.#pending.fill(0)
    for (let vector = 0; vector < this.count; vector++) {
      this.#eventfds[vector]?.close()
      this.#eventfds[vector] = undefined
    }
  }

  /** Forgets what is pending. */
  reset(): void {
    this.#pending.fill(0)
  }

  /** Returns byte `at` of the pending bits. */
  pendingByte(at: number): number {
    let bits = 0
    for (let bit = 0; bit < 8; bit++) bits |= (this.#pending[8 * at + bit] ?? 0) << bit
    return bits
  }
}

/** True of a descriptor that is an eventfd. Its writes do not block from here on. */
export function becomesEventfd({ fd }: OwnedFd): boolean {
  // A write to anything else could block this thread, or damage a file.
  if (readlinkSync(`/proc/self/fd/${fd}`) !== 'anon_inode:[eventfd]') return false
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
  return true
}
