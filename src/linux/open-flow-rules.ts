/** Opens the flow rules of an interface by the kernel's ioctl. */

import { ownOptions } from '../errors.ts'
import { FlowRules } from './flow-rules.ts'
import { checkNetns, inNamespace, openNamespace } from './netlink/namespace.ts'
import * as sys from './sys/index.ts'

/** Remedies of the kernel's refusals, by errno. K: net/ethtool/ioctl.c. */
const REMEDIES: { readonly [Name in sys.ErrnoName]?: string } = {
  ENODEV:
    'There is no such interface in this network namespace: `ip link` lists them with their numbers.',
  EOPNOTSUPP:
    'Its driver has no flow rules, or they are off: `ethtool -K INTERFACE ntuple on`. RSS can steer without rules.',
  EPERM:
    'To change rules takes CAP_NET_ADMIN in the user namespace that owns the network namespace: run it as root.',
}

/** Interface whose flow rules {@link openFlowRules} opens. */
export interface FlowRulesOptions {
  /** Index of the interface, 1 to 2,147,483,647. */
  readonly ifindex: number
  /** File of its network namespace, such as `/run/netns/blue`. By default that of this thread. */
  readonly netns?: string
}

/**
 * Opens the table of flow rules of a network card. To list needs no rights, to change CAP_NET_ADMIN in
 * the user namespace that owns the network namespace. Most cards want the feature `ntuple` on.
 *
 * @throws NETMEM_LINUX_UNAVAILABLE, NETMEM_SYSCALL_FAILED (ENODEV: there is no such interface),
 *   NETMEM_INVALID_ARGUMENT or NETMEM_OUT_OF_RANGE, as a rejection.
 *
 * @example
 * ```ts
 * import { netdev, openFlowRules, openNetlink } from 'netmem/linux'
 *
 * using netlink = await openNetlink()
 * for (const { ifindex } of (await netlink.dump(netdev, 'dev-get')).replies) {
 *   using rules = await openFlowRules({ ifindex })
 *   try {
 *     console.log(ifindex, rules.list())
 *   } catch {
 *     console.log(ifindex, 'has no flow rules')
 *   }
 * }
 * ```
 */
export async function openFlowRules(options: FlowRulesOptions): Promise<FlowRules> {
  const { ifindex, netns } = ownOptions('openFlowRules()', options, { ifindex: true, netns: true })
  const checked = sys.checkIfindex(ifindex)
  if (netns !== undefined) checkNetns(netns)
  const socket = netns === undefined ? openSocket() : inside(netns)
  try {
    const request = new sys.Pinned(sys.IFREQ.BYTES)
    request.view.setInt32(sys.IFREQ.IFINDEX, checked, true)
    const call = (command: number): void => {
      try {
        sys.ioctl(socket.fd, command, request.address)
      } catch (error) {
        throw sys.explained(error, `flow rules of interface ${checked}`, REMEDIES)
      }
    }
    call(sys.SIOCGIFNAME)
    const run = (bytes: Uint8Array): void => {
      request.setUint64(sys.IFREQ.DATA, sys.addressOf(bytes))
      call(sys.SIOCETHTOOL)
    }
    return new FlowRules(run, () => socket.close())
  } catch (error) {
    socket.close()
    throw error
  }
}

function openSocket(): sys.OwnedFd {
  return sys.socket(sys.AF_INET, sys.SOCK_DGRAM)
}

function inside(netns: string): sys.OwnedFd {
  using namespace = openNamespace(netns)
  return inNamespace(namespace.fd, openSocket)
}
