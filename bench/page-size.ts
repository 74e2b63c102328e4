/** Page sizes on this machine, each against the default of 256 KiB. */

import { hasIperf3, MISSING_IPERF3, netmemServer, runIperf3 } from './iperf3-client.ts'
import { alternate, type Figure, type Measure, measure } from './measure.ts'

const KIB = 1024
const DEFAULT_KIB = 256

export const pageSize: Figure = {
  name: 'page-size',
  about: 'pages of 64, 128 and 512 KiB against pages of 256',
  run: async (context) => {
    if (!hasIperf3()) {
      context.log(`  ${MISSING_IPERF3}`)
      return []
    }
    const seconds = context.quick ? 1 : 2
    const measures: Measure[] = []
    await using usual = await netmemServer('for-await', DEFAULT_KIB * KIB)
    for (const kib of context.quick ? [64] : [64, 1024, 4096]) {
      await using other = await netmemServer('for-await', kib * KIB)
      for (const { port } of [other, usual]) await runIperf3(port, 1, 'zero-copy')
      const samples = await alternate(
        context,
        () => runIperf3(other.port, seconds, 'zero-copy'),
        () => runIperf3(usual.port, seconds, 'zero-copy'),
      )
      measures.push(
        measure(samples, 'gbPerS', {
          id: `page-size-${kib}`,
          title: `pages of ${kib} KiB against ${DEFAULT_KIB}`,
          unit: 'GB/s',
          better: 'more',
          ours: `${kib} KiB`,
          peer: `${DEFAULT_KIB} KiB`,
        }),
      )
    }
    return measures
  },
}
