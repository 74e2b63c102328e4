/** Checks that packets come and go by the interface that memory is bound to. */

import { isIP } from 'node:net'
import { parseAddress } from '../../../wire/address.ts'
import { rtLink } from '../../netlink/generated/rt-link.ts'
import { rtRoute } from '../../netlink/generated/rt-route.ts'
import { NetlinkError } from '../../netlink/netlink-error.ts'
import { openNetlink } from '../../netlink/open-netlink.ts'
import { AF_INET, AF_INET6, type Ifindex, LinuxError } from '../../sys/index.ts'
import { isInterfaceGone, noInterface } from '../interface-gone.ts'

/**
 * Throws unless the route to `host` leaves by interface `ifindex`. A connection that leaves by another
 * interface would hang, since the kernel drops unreadable packets there without an error.
 *
 * @param host IPv4 or IPv6 address.
 * @throws NETMEM_DEVMEM_ROUTE, as a rejection.
 */
export async function checkRoute(host: string, ifindex: Ifindex): Promise<void> {
  // An address with a zone names its interface itself.
  if (isIP(host) === 0 || host.includes('%')) return
  const found = await routeTo(parseAddress(host))
  if (found === ifindex) return
  const where = found === undefined ? 'There is no route' : `The route leaves by interface ${found}`
  throw new LinuxError(
    'NETMEM_DEVMEM_ROUTE',
    `${where} to ${host}, and the memory is bound to interface ${ifindex}. Add a route (\`ip route add ${host} dev INTERFACE\`), or bind the memory of the interface that the route has.`,
  )
}

/**
 * Throws unless this network namespace has interface `ifindex`. A socket may be bound to an absent
 * interface, and gets no packets.
 *
 * @throws NETMEM_DEVMEM_NO_INTERFACE, as a rejection.
 */
export async function checkInterface(ifindex: Ifindex): Promise<void> {
  using netlink = await openNetlink()
  try {
    await netlink.do(rtLink, 'getlink', { 'ifi-index': ifindex })
  } catch (error) {
    throw isInterfaceGone(error) ? noInterface(ifindex, error) : error
  }
}

async function routeTo(dst: Uint8Array): Promise<number | undefined> {
  using netlink = await openNetlink()
  try {
    const family = dst.byteLength === 4 ? AF_INET : AF_INET6
    const request = { 'rtm-family': family, 'rtm-dst-len': dst.byteLength * 8, dst }
    return (await netlink.do(rtRoute, 'getroute', request)).oif
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'NETMEM_NETLINK_REFUSED') return undefined
    throw error
  }
}
