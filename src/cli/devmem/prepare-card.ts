/** Sets the card up for `netmem devmem prepare`, and offers the memory until a signal comes. */

import { once } from 'node:events'
import { userInfo } from 'node:os'
import { bindRx } from '../../linux/devmem/bind.ts'
import { prepareQueues } from '../../linux/devmem/prepare-queues.ts'
import type { PreparedQueues } from '../../linux/devmem/queue-setup.ts'
import { offerDmaBuf } from '../../linux/dma-buf/offer-dma-buf.ts'
import type { Output } from '../output.ts'
import type { CommandOutcome } from '../run.ts'
import { exactSize } from '../size.ts'
import { ifindexOf } from './interface.ts'
import { makeDmaBuf } from './memory.ts'
import { uidOf } from './user.ts'

interface PrepareOptions {
  readonly queues: readonly number[]
  readonly port?: readonly number[]
  readonly socket: string
  readonly size: number
  readonly dmabuf: string
  readonly user?: string
}

export async function prepareCard(
  output: Output,
  signal: AbortSignal,
  name: string,
  options: PrepareOptions,
): Promise<CommandOutcome> {
  const { queues, port = [], socket, size, user } = options
  const uid = user === undefined ? userInfo().uid : uidOf(user)
  const ifindex = await ifindexOf(name)
  using dmabuf = makeDmaBuf(options.dmabuf, size)
  const flows = port.flatMap((destinationPort) =>
    (['tcp4', 'tcp6'] as const).map((type) => ({ type, destinationPort })),
  )
  // The order matters: the last one ends first, so that the card is restored after the binding has ended.
  await using prepared = await prepareQueues({ ifindex, queues, flows })
  using binding = await bindRx({ ifindex, queues, dmabuf })
  const bound = { id: binding.id, ifindex: binding.ifindex, queues: binding.queues }
  await using offer = await offerDmaBuf({ path: socket, dmabuf, binding: bound, uid })
  for (const line of describe(name, prepared)) output.note(line)
  output.note(
    `netmem: binding ${binding.id}, ${exactSize(dmabuf.bytes)} of ${dmabuf.exporter}, offered at ${socket}`,
  )
  output.report({
    command: 'devmem prepare',
    event: 'ready',
    interface: name,
    ifindex,
    binding: binding.id,
    bytes: dmabuf.bytes,
    queues: prepared.queues,
    numaNode: prepared.numaNode,
    context: prepared.context,
    rules: prepared.rules,
    exclusive: prepared.exclusive,
  })
  if (!signal.aborted) await once(signal, 'abort')
  return { report: { taken: offer.taken } }
}

function describe(name: string, prepared: PreparedQueues): string[] {
  const { queues, numaNode, context, rules, exclusive } = prepared
  const node = numaNode === undefined ? '' : `, NUMA node ${numaNode}`
  const rss = context === undefined ? '' : `, RSS context ${context}`
  return [
    `netmem: ${name} prepared${node}${rss}, ${rules.length} rules`,
    ...queues.map(({ queue, irq, affinity }) => {
      const processors = affinity === undefined ? '' : ` on processors ${affinity}`
      return `  queue ${queue}${irq === undefined ? '' : `: interrupt ${irq}${processors}`}`
    }),
    ...(exclusive ? [] : ['  the card has no RSS table: other flows may reach these queues']),
  ]
}
