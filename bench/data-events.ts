/**
 * One TCP connection from `iperf3 -c`: `for await` over a netmem connection against Node's `data`
 * events, the same server around both. Where the sender is what limits the speed, CPU shows the
 * difference.
 */

import { hasIperf3, MISSING_IPERF3, netmemServer, runIperf3 } from './iperf3-client.ts'
import { alternate, type Figure, measure } from './measure.ts'

export const dataEvents: Figure = {
  name: 'data-events',
  about: "one TCP connection from iperf3 -c, against Node's data events",
  run: async (context) => {
    if (!hasIperf3()) {
      context.log(`  ${MISSING_IPERF3}`)
      return []
    }
    const seconds = context.quick ? 1 : 3
    await using ours = await netmemServer('for-await')
    await using peer = await netmemServer('data')
    for (const { port } of [ours, peer]) await runIperf3(port, 1)
    const samples = await alternate(
      context,
      () => runIperf3(ours.port, seconds),
      () => runIperf3(peer.port, seconds),
    )
    const sides = { ours: 'netmem, for await', peer: 'Node data events' }
    return [
      measure(samples, 'gbPerS', {
        id: 'data-events',
        title: "TCP against Node's data events",
        unit: 'GB/s',
        better: 'more',
        ...sides,
        target: { of: 'ratio', is: 'at least', value: 1.7, by: 'median' },
      }),
      measure(samples, 'cpuPerGb', {
        id: 'data-events-cpu',
        title: 'its CPU',
        unit: 's/GB',
        better: 'less',
        ...sides,
        note: 'user and system time of the receiver',
      }),
    ]
  },
}
