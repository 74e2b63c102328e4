/** Network interfaces by name. */

import { rtLink } from '../../linux/netlink/generated/rt-link.ts'
import { NetlinkError } from '../../linux/netlink/netlink-error.ts'
import { openNetlink } from '../../linux/netlink/open-netlink.ts'
import { usage } from '../exit.ts'

/** Resolves to the number of an interface. */
export async function ifindexOf(name: string): Promise<number> {
  using netlink = await openNetlink()
  try {
    return (await netlink.do(rtLink, 'getlink', { ifname: name }))['ifi-index']
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== 'ENODEV') throw error
    throw usage(`There is no interface ${name}: \`ip link\` lists them.`)
  }
}
