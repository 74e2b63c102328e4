/** One TCP connection from `iperf3 -c`: netmem's iperf3 server against `iperf3 -s`. */

import { hasIperf3, iperf3Server, MISSING_IPERF3, netmemServer } from './iperf3-client.ts'
import type { Figure } from './measure.ts'
import { tcpMeasures } from './tcp-measures.ts'

export const iperf3: Figure = {
  name: 'iperf3',
  about: 'one TCP connection from iperf3 -c, against iperf3 -s',
  run: async (context) => {
    if (!hasIperf3()) {
      context.log(`  ${MISSING_IPERF3}`)
      return []
    }
    await using ours = await netmemServer('receive')
    await using peer = await iperf3Server()
    const what = {
      id: 'iperf3',
      title: 'TCP against iperf3 -s',
      ours: 'netmem',
      peer: 'iperf3 -s',
    }
    const sides = [ours.port, peer.port] as const
    return [
      ...(await tcpMeasures(context, sides, 'copying', what, 1)),
      ...(await tcpMeasures(context, sides, 'zero-copy', what, undefined)),
    ]
  },
}
