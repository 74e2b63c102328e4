/**
 * Prints what the kernel tells of network interfaces, as it happens, until the process is ended.
 *
 *   node build/examples/notifications.js [NETWORK_NAMESPACE]
 *
 * `ip link add nm9 type dummy` and `ip link del nm9`, as root, give it something to tell.
 */

import { netdev, openNetlink, rtLink } from 'netmem/linux'

const [, , netns] = process.argv
const netlink = await openNetlink(netns === undefined ? {} : { netns })
const subscription = await netlink.subscribe(netdev, 'mgmt')
console.log('listening')

for await (const event of subscription) {
  if (event.kind === 'event' && 'ifindex' in event.message) {
    console.log(event.name, event.message.ifindex)
  } else if (event.kind === 'overrun') {
    // The kernel dropped some: ask for the present state.
    const { replies } = await netlink.dump(rtLink, 'getlink')
    console.log('interfaces:', replies.map(({ ifname }) => ifname).join(' '))
  }
}
