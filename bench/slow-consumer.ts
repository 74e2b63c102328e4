/** 2 GB pushed at a consumer that takes 20 MB/s for a while: the receiver's resident memory. */

import { alternate, type Figure, measure } from './measure.ts'
import { Child } from './processes.ts'
import type { SlowRequest } from './slow-consumer.child.ts'

export const slowConsumer: Figure = {
  name: 'slow-consumer',
  about: '2 GB pushed at a consumer that takes 20 MB/s for a while: resident memory',
  run: async (context) => {
    const slow: SlowRequest = {
      bytes: context.quick ? 50_000_000 : 2_000_000_000,
      slowMs: context.quick ? 500 : 6000,
      slowBytesPerS: 20_000_000,
    }
    const receive = (reads: string) => async () => {
      await using receiver = new Child('slow-consumer', reads)
      await using sender = new Child('sender')
      const port = await receiver.next<number>()
      const run = async (request: SlowRequest) => {
        const sample = receiver.ask<{ readonly peakMiB: number }>(request)
        await sender.ask({ port, bytes: request.bytes, connections: 1 })
        return await sample
      }
      await run({ ...slow, bytes: slow.bytes / 10, slowMs: 0 })
      return await run(slow)
    }
    const samples = await alternate(context, receive('netmem'), receive('stream'))
    return [
      measure(samples, 'peakMiB', {
        id: 'slow-consumer',
        title: 'slow consumer: memory beyond pool and base',
        unit: 'MiB',
        better: 'less',
        ours: 'netmem, for await',
        peer: 'Node stream, for await',
        target: { of: 'ours', is: 'at most', value: 16, by: 'worst' },
        note: 'the peer has backpressure too; the pool of 16 MiB is part of the base',
      }),
    ]
  },
}
