/** Calls in another network namespace. A socket belongs to the namespace that it was made in. */

import type { Fd, OwnedFd } from '../sys/index.ts'
import * as sys from '../sys/index.ts'

/** Opens a network namespace by its file, such as `/run/netns/blue` or `/proc/1/ns/net`. */
export function openNamespace(path: string): OwnedFd {
  return sys.open(path, sys.O_RDONLY)
}

/**
 * Calls `make` with this thread in a network namespace, and moves the thread back. Nothing else runs on
 * the thread meanwhile, so `make` returns no promise.
 *
 * @throws NETMEM_SYSCALL_FAILED without CAP_SYS_ADMIN in the namespace's user namespace and in this
 *   process's own.
 */
export function inNamespace<T>(namespace: Fd, make: () => T): T {
  // Not /proc/self: that is the main thread, and each thread has a namespace of its own.
  using home = openNamespace('/proc/thread-self/ns/net')
  sys.setns(namespace, sys.CLONE_NEWNET)
  try {
    return make()
  } finally {
    sys.setns(home.fd, sys.CLONE_NEWNET)
  }
}
