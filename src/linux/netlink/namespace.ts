/** Calls in another network namespace. A socket belongs to the namespace that it was made in. */

import { checkString } from '../../errors.ts'
import type { ErrnoName, Fd, OwnedFd } from '../sys/index.ts'
import * as sys from '../sys/index.ts'

/** Throws NETMEM_INVALID_ARGUMENT unless `netns` is text. */
export function checkNetns(netns: string): void {
  checkString('netns', netns, 'the file of a network namespace, such as /run/netns/blue')
}

/** Opens a network namespace by its file, such as `/run/netns/blue` or `/proc/1/ns/net`. */
export function openNamespace(path: string): OwnedFd {
  try {
    return sys.open(path, sys.O_RDONLY)
  } catch (error) {
    throw sys.explained(error, `the network namespace ${path}`, REMEDIES)
  }
}

/** Remedies that concern namespaces. */
const REMEDIES: { readonly [Name in ErrnoName]?: string } = {
  ENOENT: '`ip netns list` shows those with names, which are in /run/netns.',
  EINVAL: 'The file is no network namespace: pass one of /run/netns, or /proc/PID/ns/net.',
  EPERM: 'Another network namespace takes CAP_SYS_ADMIN, there and here: run it as root.',
}

/**
 * Calls `make` with this thread in a network namespace, and moves the thread back. `make`
 * returns no promise, so that nothing else runs on the thread until it is back.
 *
 * @throws NETMEM_SYSCALL_FAILED without CAP_SYS_ADMIN in the namespace's user namespace and in this
 *   process's own.
 */
export function inNamespace<T>(namespace: Fd, make: () => T): T {
  // Each thread has its own namespace, and /proc/self is the main thread.
  using home = openNamespace('/proc/thread-self/ns/net')
  try {
    sys.setns(namespace, sys.CLONE_NEWNET)
  } catch (error) {
    throw sys.explained(error, 'another network namespace', REMEDIES)
  }
  try {
    return make()
  } finally {
    sys.setns(home.fd, sys.CLONE_NEWNET)
  }
}
