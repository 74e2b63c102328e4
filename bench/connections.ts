/** 1,000 connections at once through one pool of 16 MiB with pages of 256 KiB: 64 pages for all. */

import { alternate, type Figure, measure } from './measure.ts'
import { Child } from './processes.ts'

export const connections: Figure = {
  name: 'connections',
  about: '1,000 connections at once through a pool of 64 pages: verified, none starved',
  run: async (context) => {
    const request = {
      connections: context.quick ? 200 : 1000,
      bytes: context.quick ? 100_000 : 2_000_000,
    }
    const receive = (reads: string) => async () => {
      await using receiver = new Child('connections', reads)
      await using sender = new Child('sender')
      const port = await receiver.next<number>()
      const sample = receiver.ask<{ gbPerS: number; longestWaitMs: number }>(request)
      await sender.ask({ port, ...request })
      return await sample
    }
    const samples = await alternate(context, receive('netmem'), receive('data'))
    const sides = { ours: 'netmem, for await', peer: 'Node data events' }
    const title = `${request.connections} connections, 64 pages`
    return [
      measure(samples, 'gbPerS', {
        id: 'connections',
        title: `${title}: speed`,
        unit: 'GB/s',
        better: 'more',
        ...sides,
        note: 'every byte verified on both sides; nothing out at the end, or the run fails',
      }),
      measure(samples, 'longestWaitMs', {
        id: 'connections-wait',
        title: `${title}: longest wait`,
        unit: 'ms',
        better: 'less',
        ...sides,
        target: { of: 'ours', is: 'at most', value: 5000, by: 'worst' },
        note: 'between two reads of one connection; starved would be: longer than 5 s',
      }),
    ]
  },
}
