/** One client beside many that stall, through a pool of 64 pages: its speed against its speed alone. */

import { alternate, type Context, type Figure, type Measure, measure } from './measure.ts'
import { Child } from './processes.ts'
import type { StalledKind } from './stalled-clients.kinds.ts'
import type { StalledRequest } from './stalled-clients-client.child.ts'

interface Case {
  readonly kind: StalledKind
  readonly stalled: number
  readonly bytes: number
  readonly about: string
}

const cases: readonly Case[] = [
  { kind: 'echo', stalled: 70, bytes: 1e9, about: 'echo, 70 clients send and do not read' },
  { kind: 'proxy', stalled: 70, bytes: 5e8, about: 'proxy, 70 clients send and do not read' },
  { kind: 'bodies', stalled: 64, bytes: 5e8, about: 'receiveBody, 64 clients sent one byte' },
  { kind: 'messages', stalled: 64, bytes: 5e8, about: 'messages, 64 clients sent one byte' },
]

async function run(context: Context, { kind, stalled, bytes, about }: Case): Promise<Measure> {
  const beside = (others: number) => async () => {
    await using client = new Child('stalled-clients-client')
    const upstream = await client.next<number>()
    await using server = new Child('stalled-clients', kind, String(upstream))
    const port = await server.next<number>()
    const sent = context.quick ? bytes / 20 : bytes
    const request: StalledRequest = { kind, port, stalled: others, bytes: sent }
    return await client.ask<{ readonly gbPerS: number }>(request)
  }
  const samples = await alternate(context, beside(stalled), beside(0))
  return measure(samples, 'gbPerS', {
    id: `stalled-${kind}`,
    title: `one client beside others: ${about}`,
    unit: 'GB/s',
    better: 'more',
    ours: 'beside them',
    peer: 'alone',
    target: { of: 'ratio', is: 'at least', value: 0.5, by: 'median' },
    note: 'a pool of 64 pages of 256 KiB',
  })
}

export const stalledClients: Figure = {
  name: 'stalled-clients',
  about: 'one client beside 64 or 70 that stall, through a pool of 64 pages',
  run: async (context) => {
    const measures: Measure[] = []
    for (const each of cases) measures.push(await run(context, each))
    return measures
  },
}
