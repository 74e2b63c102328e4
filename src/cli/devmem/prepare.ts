/**
 * `netmem devmem prepare`: sets a card up as root, binds memory to it, and offers the memory and the
 * binding to a process without rights.
 */

import { once } from 'node:events'
import { userInfo } from 'node:os'
import { Command } from 'commander'
import { bindRx, offerDmaBuf, type PreparedQueues, prepareQueues } from '../../linux/index.ts'
import { withJson } from '../options.ts'
import type { Output } from '../output.ts'
import { type Outcome, run } from '../run.ts'
import { exactSize } from '../size.ts'
import { ifindexOf } from './interface.ts'
import { makeDmaBuf } from './memory.ts'
import { dmaBufSizeOption, parseDmaBuf, parsePorts, parseQueues, parseSocketPath } from './parse.ts'
import { uidOf } from './user.ts'

interface PrepareOptions {
  readonly queues: readonly number[]
  readonly port?: readonly number[]
  readonly socket: string
  readonly size: number
  readonly dmabuf: string
  readonly user?: string
  readonly json?: true
}

const HELP = `
Turns header split on, steers TCP flows to the ports to the queues, keeps other flows off them, binds a
dma-buf to them, and offers it at a Unix socket. A process that may write to the socket takes memory and
binding with receiveDmaBuf() of netmem/linux, and needs no rights for it. On SIGINT or SIGTERM all of it
is undone; after a kill: netmem devmem undo.

Example:
  # netmem devmem prepare eth0 --queues 2,3 --port 5201 --socket /run/netmem/devmem.sock --user app`

export function prepareCommand(): Command {
  const command = new Command('prepare')
    .description('set a card up, bind memory to it, and offer both to other processes')
    .argument('<interface>', 'name of the network interface')
    .requiredOption('--queues <list>', 'RX queues, such as 2,3', parseQueues)
    .option('--port <list>', 'TCP ports whose flows are to reach them (default: none)', parsePorts)
    .requiredOption(
      '--socket <path>',
      'Unix socket at which the memory is offered',
      parseSocketPath,
    )
    .addOption(dmaBufSizeOption('memory to bind'))
    .option('--dmabuf <kind>', 'udmabuf, or heap:NAME', parseDmaBuf, 'udmabuf')
    .option('--user <name>', 'user that may take the memory (default: the one who runs this)')
    .addHelpText('after', HELP)
  return withJson(command).action((name: string, options: PrepareOptions) =>
    run('devmem prepare', { json: options.json === true }, (output, signal) =>
      prepare(name, options, output, signal),
    ),
  )
}

async function prepare(
  name: string,
  options: PrepareOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Outcome> {
  const { queues, port = [], socket, size, user } = options
  const uid = user === undefined ? userInfo().uid : uidOf(user)
  const ifindex = await ifindexOf(name)
  using dmabuf = makeDmaBuf(options.dmabuf, size)
  const flows = port.flatMap((destinationPort) =>
    (['tcp4', 'tcp6'] as const).map((type) => ({ type, destinationPort })),
  )
  // In this order, since they end in the reverse: the card is restored when nothing is bound to it.
  await using prepared = await prepareQueues({ ifindex, queues, flows })
  using binding = await bindRx({ ifindex, queues, dmabuf })
  await using offer = await offerDmaBuf({ path: socket, dmabuf, binding: partsOf(binding), uid })
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

function partsOf({
  id,
  ifindex,
  queues,
}: {
  id: number
  ifindex: number
  queues: readonly number[]
}): { id: number; ifindex: number; queues: readonly number[] } {
  return { id, ifindex, queues }
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
