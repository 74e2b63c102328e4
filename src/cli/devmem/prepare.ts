/**
 * `netmem devmem prepare`: sets a card up as root, binds memory to it, and offers the memory and the
 * binding to a process without rights.
 */

import { Command } from 'commander'
import { withWork } from '../run.ts'
import { dmaBufSizeOption, parseDmaBuf, parsePorts, parseQueues, parseSocketPath } from './parse.ts'

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
  return withWork(command, async () => (await import('./prepare-card.ts')).prepareCard)
}
