/**
 * Users of memory below the application: drivers, which post it, and sockets, which queue it. They are
 * asked for their memory when a report is made, so that holding memory has no cost.
 */

import { bits, type Netmem } from '../netmem.ts'

/** Reference of a driver to memory that it has posted, or of a socket to what it has queued. */
type Use = 'posted' | 'sockets'

/** Takes a reference to memory. */
export type MemoryVisitor = (m: Netmem, use: Use) => void

/** Driver or socket of this thread. */
export interface MemoryUser {
  /** Calls `visit` once for each reference that it holds. */
  visitMemory(visit: MemoryVisitor): void
}

/** References to memory below the application, by their use. */
export type UseCount = Record<Use, number>

// Weak: a connection that its application dropped is collected, and the leak of its frags reported.
let users: WeakRef<MemoryUser>[] = []
/** Number of users at which those that were collected are looked for. */
let most = 64

/** Adds a user. It is forgotten when it is collected. */
export function addMemoryUser(user: MemoryUser): void {
  if (users.length >= most) {
    users = users.filter((each) => each.deref() !== undefined)
    most = Math.max(64, 2 * users.length)
  }
  users.push(new WeakRef(user))
}

/** Counts the references of all users, by handle. */
export function usesBelow(): ReadonlyMap<number, UseCount> {
  const counts = new Map<number, UseCount>()
  for (const user of users) {
    user.deref()?.visitMemory((m, use) => {
      const handle = bits(m)
      const count = counts.get(handle) ?? { posted: 0, sockets: 0 }
      count[use]++
      counts.set(handle, count)
    })
  }
  return counts
}
