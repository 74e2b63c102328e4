/** One TCP connection from `iperf3 -c`: netmem's iperf3 server against `iperf3 -s`. */

import {
  hasIperf3,
  iperf3Server,
  MISSING_IPERF3,
  netmemServer,
  runIperf3,
} from './iperf3-client.ts'
import { alternate, type Figure, measure } from './measure.ts'

export const iperf3: Figure = {
  name: 'iperf3',
  about: 'one TCP connection from iperf3 -c, against iperf3 -s',
  run: async (context) => {
    if (!hasIperf3()) {
      context.log(`  ${MISSING_IPERF3}`)
      return []
    }
    const seconds = context.quick ? 1 : 3
    await using ours = await netmemServer('receive')
    await using peer = await iperf3Server()
    for (const { port } of [ours, peer]) await runIperf3(port, 1)
    const samples = await alternate(
      context,
      () => runIperf3(ours.port, seconds),
      () => runIperf3(peer.port, seconds),
    )
    const sides = { ours: 'netmem', peer: 'iperf3 -s' }
    return [
      measure(samples, 'gbPerS', {
        id: 'iperf3',
        title: 'TCP against iperf3 -s',
        unit: 'GB/s',
        better: 'more',
        ...sides,
        target: { of: 'ratio', is: 'at least', value: 1, by: 'median' },
      }),
      measure(samples, 'cpuPerGb', {
        id: 'iperf3-cpu',
        title: 'its CPU',
        unit: 's/GB',
        better: 'less',
        ...sides,
        note: 'user and system time of the receiver',
      }),
    ]
  },
}
