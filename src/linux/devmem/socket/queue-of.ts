/** RX queues by the number of their NAPI instance. */

import { netdev } from '../../netlink/generated/netdev.ts'
import { openNetlink } from '../../netlink/open-netlink.ts'
import type { BoundMemory } from './binding-use.ts'

/** Returns the RX queue of a NAPI instance, or `undefined` if no interface of the bindings has it. */
export async function queueOf(
  napiId: number,
  bindings: readonly BoundMemory[],
): Promise<number | undefined> {
  const ifindex = bindings[0]?.ifindex
  if (napiId === 0 || ifindex === undefined) return undefined
  using netlink = await openNetlink()
  const { replies } = await netlink.dump(netdev, 'queue-get', { ifindex })
  return replies.find((queue) => queue.type === 'rx' && queue['napi-id'] === napiId)?.id
}
