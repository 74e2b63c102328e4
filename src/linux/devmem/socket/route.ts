/** Checks that packets come and go by the interface that memory is bound to. */

import { rtLink } from '../../netlink/generated/rt-link.ts'
import { rtRoute } from '../../netlink/generated/rt-route.ts'
import { NetlinkError } from '../../netlink/netlink-error.ts'
import { openNetlink } from '../../netlink/open-netlink.ts'
import { AF_INET, AF_INET6, type Ifindex, inetAddress, LinuxError } from '../../sys/index.ts'
import { isInterfaceGone, noInterface } from '../interface-gone.ts'

/** Bytes in front of the address in a sockaddr, by the bits of the address. */
const PLACES = { 32: 4, 128: 8 } as const

/**
 * Throws unless the route to `host` leaves by interface `ifindex`. A connection that leaves by another
 * interface would hang, since the kernel drops unreadable packets there without an error.
 *
 * @param host IPv4 or IPv6 address.
 * @throws NETMEM_DEVMEM_ROUTE, as a rejection.
 */
export async function checkRoute(host: string, ifindex: Ifindex): Promise<void> {
  const sockaddr = inetAddress(host, 0)
  if (sockaddr === undefined) return
  const bits = sockaddr.byteLength === 16 ? 32 : 128
  const dst = sockaddr.subarray(PLACES[bits], PLACES[bits] + bits / 8)
  const found = await routeTo(bits === 32 ? AF_INET : AF_INET6, bits, dst)
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

async function routeTo(family: number, bits: number, dst: Uint8Array): Promise<number | undefined> {
  using netlink = await openNetlink()
  try {
    const request = { 'rtm-family': family, 'rtm-dst-len': bits, dst }
    return (await netlink.do(rtRoute, 'getroute', request)).oif
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'NETMEM_NETLINK_REFUSED') return undefined
    throw error
  }
}
