/**
 * One TCP connection from `iperf3 -c`: `for await` over a netmem connection against Node's `data`
 * events, the same server around both. The target is for the client as it comes, which copies what
 * it sends and can fill a core with that; so the figure is taken with `-Z` (sendfile), too, where
 * the receiver decides more of it. CPU per GB is beside both.
 */

import { hasIperf3, MISSING_IPERF3, netmemServer } from './iperf3-client.ts'
import type { Figure } from './measure.ts'
import { tcpMeasures } from './tcp-measures.ts'

export const dataEvents: Figure = {
  name: 'data-events',
  about: "one TCP connection from iperf3 -c, against Node's data events",
  run: async (context) => {
    if (!hasIperf3()) {
      context.log(`  ${MISSING_IPERF3}`)
      return []
    }
    await using ours = await netmemServer('for-await')
    await using peer = await netmemServer('data')
    const what = {
      id: 'data-events',
      title: "TCP against Node's data events",
      ours: 'netmem, for await',
      peer: 'Node data events',
    }
    const sides = [ours.port, peer.port] as const
    return [
      ...(await tcpMeasures(context, sides, 'copying', what, 1.7)),
      ...(await tcpMeasures(context, sides, 'zero-copy', what, undefined)),
    ]
  },
}
