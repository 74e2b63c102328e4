/** 10⁶ messages of 512 bytes of which one in a hundred is held: bytes pinned per byte held. */

import { alternate, type Figure, measure } from './measure.ts'
import { Child } from './processes.ts'

const MESSAGE = 512

export const heldMessages: Figure = {
  name: 'held-messages',
  about: '1 in 100 of 10⁶ messages of 512 bytes held: pinned ÷ live bytes',
  run: async (context) => {
    const messages = context.quick ? 100_000 : 1_000_000
    const receive = (reads: string) => async () => {
      await using receiver = new Child('held-messages', reads)
      await using sender = new Child('sender')
      const port = await receiver.next<number>()
      const sample = receiver.ask<{ pinned: number; copies: number }>({ messages })
      await sender.ask({ port, bytes: messages * MESSAGE, connections: 1 })
      return await sample
    }
    const samples = await alternate(context, receive('netmem'), receive('data'))
    return [
      measure(samples, 'pinned', {
        id: 'held-messages',
        title: '1 message in 100 held: pinned ÷ live bytes',
        unit: '',
        better: 'less',
        ours: 'netmem, frag.slice',
        peer: 'Node Buffer.subarray',
        target: { of: 'ours', is: 'at most', value: 1.2, by: 'worst' },
        note: 'ArrayBuffers after a collection, and pages out; copies are among them',
      }),
    ]
  },
}
