/** Speed and CPU of any two iperf3 servers under one kind of sender. */

import { runIperf3, type Sender } from './iperf3-client.ts'
import { alternate, type Context, type Description, type Measure, measure } from './measure.ts'

/** Two measures. `ratio` is the target of the first, which goes without its sender in its name. */
export async function tcpMeasures(
  context: Context,
  [ours, peer]: readonly [number, number],
  sender: Sender,
  what: Pick<Description, 'id' | 'title' | 'ours' | 'peer'>,
  ratio: number | undefined,
): Promise<readonly Measure[]> {
  const seconds = context.quick ? 1 : 3
  for (const port of [ours, peer]) await runIperf3(port, 1, sender)
  const samples = await alternate(
    context,
    () => runIperf3(ours, seconds, sender),
    () => runIperf3(peer, seconds, sender),
  )
  const command = sender === 'copying' ? 'iperf3 -c' : 'iperf3 -c -Z'
  const id = ratio === undefined ? `${what.id}-${sender}` : what.id
  const title = ratio === undefined ? `${what.title}, ${command}` : what.title
  return [
    measure(samples, 'gbPerS', {
      ...what,
      id,
      title,
      unit: 'GB/s',
      better: 'more',
      ...(ratio === undefined
        ? {}
        : { target: { of: 'ratio', is: 'at least', value: ratio, by: 'median' } }),
      note: `sent by ${command}`,
    }),
    measure(samples, 'cpuPerGb', {
      ...what,
      id: `${id}-cpu`,
      title: `${title}: CPU`,
      unit: 's/GB',
      better: 'less',
      note: `user and system time of the receiver; sent by ${command}`,
    }),
  ]
}
