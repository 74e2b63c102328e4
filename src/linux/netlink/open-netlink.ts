/** Opens the client of netlink on the kernel's sockets. The first call loads the client. */

import { checkInteger, ownOptions } from '../../errors.ts'
import { loadLibc, type OwnedFd } from '../sys/index.ts'
import { checkNetns, inNamespace, openNamespace } from './namespace.ts'
import type { Netlink } from './netlink.ts'

/** The kernel takes half of the number that getsockopt shows. SO_RCVBUF is a signed int. */
const MAX_RECEIVE_BUFFER_BYTES = 0x3fffffff

/** Options of {@link openNetlink}. */
export interface NetlinkOptions {
  /**
   * File of the network namespace to work in, such as `/run/netns/blue` or `/proc/1234/ns/net`. Default:
   * the namespace of this thread. Other namespaces need CAP_SYS_ADMIN.
   */
  readonly netns?: string
  /**
   * Room for messages that the client has not taken, of each socket, in bytes: 1 to 1,073,741,823. By default
   * net.core.rmem_default. More than net.core.rmem_max takes CAP_NET_ADMIN. The kernel doubles it for
   * its own structures.
   */
  readonly receiveBufferBytes?: number
}

/**
 * Opens a client of the kernel's netlink, for families such as {@link netdev} and {@link ethtool}.
 * Strict checking and extended acknowledgements are on.
 *
 * @throws NETMEM_LINUX_UNAVAILABLE, NETMEM_SYSCALL_FAILED, NETMEM_INVALID_ARGUMENT or
 *   NETMEM_OUT_OF_RANGE, as a rejection.
 *
 * @example
 * ```ts
 * import { netdev, openNetlink } from 'netmem/linux'
 *
 * using netlink = await openNetlink()
 * const { replies } = await netlink.dump(netdev, 'queue-get')
 * for (const queue of replies) console.log(queue.ifindex, queue.type, queue.id)
 * ```
 */
export async function openNetlink(options: NetlinkOptions = {}): Promise<Netlink> {
  const { netns, receiveBufferBytes } = ownOptions('openNetlink()', options, {
    netns: true,
    receiveBufferBytes: true,
  })
  if (netns !== undefined) checkNetns(netns)
  checkBuffer(receiveBufferBytes)
  loadLibc()
  const [{ Netlink }, { openNetlinkSocket }] = await Promise.all([
    import('./netlink.ts'),
    import('./socket.ts'),
  ])
  const namespace: OwnedFd | undefined = netns === undefined ? undefined : openNamespace(netns)
  const open = (protocol: number, bytes: number | undefined = receiveBufferBytes) => {
    checkBuffer(bytes)
    if (namespace === undefined) return openNetlinkSocket(protocol, bytes)
    return inNamespace(namespace.fd, () => openNetlinkSocket(protocol, bytes))
  }
  try {
    return new Netlink({ open, close: () => namespace?.close() })
  } catch (error) {
    namespace?.close()
    throw error
  }
}

function checkBuffer(bytes: number | undefined): void {
  if (bytes !== undefined) checkInteger('receiveBufferBytes', bytes, 1, MAX_RECEIVE_BUFFER_BYTES)
}
