/**
 * One TCP connection from `iperf3 -c`: `for await` over a netmem connection against Node's `data`
 * events, the same server around both. The target is for the client as it comes, which copies what
 * it sends and can fill a core with that. So the figure is taken with `-Z` (sendfile), too, where
 * the receiver decides more of it. The speed of that client against a receiver that copies nothing
 * stands beside it. CPU per GB is beside all. The mark is `wakeBatching` of netmem/linux,
 * with pages of 4 MiB.
 */

import { compile } from './compile.ts'
import { hasIperf3, iperf3Server, MISSING_IPERF3, netmemServer } from './iperf3-client.ts'
import type { Context, Figure, Measure } from './measure.ts'
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
    await using plain = await netmemServer('plain')
    await using peer = await netmemServer('data')
    const what = {
      id: 'data-events',
      title: "TCP against Node's data events",
      ours: 'netmem, for await, low-water mark',
      peer: 'Node data events',
    }
    const without = {
      ...what,
      id: 'data-events-plain',
      title: "TCP against Node's data events, no mark",
      ours: 'netmem, for await',
    }
    const sides = [ours.port, peer.port] as const
    return [
      ...(await tcpMeasures(context, sides, 'copying', what, 1.7)),
      ...(await tcpMeasures(context, [plain.port, peer.port], 'copying', without, undefined)),
      ...(await withoutCopying(context, peer.port)),
      ...(await tcpMeasures(context, sides, 'zero-copy', what, undefined)),
    ]
  },
}

/** Measures `iperf3 -c` against a receiver that copies nothing and sleeps between reads, as iperf3 does. */
async function withoutCopying(context: Context, peer: number): Promise<readonly Measure[]> {
  using library = await compile('discard-reads.c', '-shared', '-fPIC')
  if (library === undefined) {
    context.log('  no C compiler (cc): a receiver that copies nothing was not measured')
    return []
  }
  await using server = await iperf3Server(library.path)
  const what = {
    id: 'data-events-limit',
    title: "TCP, a receiver that copies nothing against Node's data events",
    ours: 'iperf3 -s, bytes dropped in the kernel',
    peer: 'Node data events',
  }
  const [speed] = await tcpMeasures(context, [server.port, peer], 'copying', what, undefined)
  return speed === undefined ? [] : [speed]
}
