/** 10 GB received through `for await`: collections of the receiver, against Node's `data` events. */

import type { StreamRequest } from './collections.child.ts'
import { alternate, type Figure, measure } from './measure.ts'
import { Child } from './processes.ts'

export const collections: Figure = {
  name: 'collections',
  about: '10 GB received: garbage collections',
  run: async (context) => {
    const bytes = context.quick ? 100_000_000 : 10_000_000_000
    const receive = (reads: string) => async () => {
      await using receiver = new Child('collections', reads)
      await using sender = new Child('sender')
      const port = await receiver.next<number>()
      const request: StreamRequest = { bytes, warmUp: bytes / 10 }
      const sample = receiver.ask<{ major: number; minorPerGb: number; gbPerS: number }>(request)
      await sender.ask({ port, bytes: bytes + request.warmUp, connections: 1 })
      return await sample
    }
    const samples = await alternate(context, receive('netmem'), receive('data'))
    const sides = { ours: 'netmem, for await', peer: 'Node data events' }
    const size = context.quick ? '0.1 GB' : '10 GB'
    return [
      measure(samples, 'major', {
        id: 'collections-major',
        title: `${size} received: major collections`,
        unit: '',
        better: 'less',
        ...sides,
        target: { of: 'ours', is: 'at most', value: 0, by: 'worst' },
      }),
      measure(samples, 'minorPerGb', {
        id: 'collections-minor',
        title: 'young collections per GB',
        unit: '/GB',
        better: 'less',
        ...sides,
        target: { of: 'ours', is: 'at most', value: 10, by: 'median' },
      }),
    ]
  },
}
