/** `netmem devmem recv`: receives into device memory, and checks what came. */

import { Command, Option } from 'commander'
import { parsePort } from '../endpoint.ts'
import { EXIT_CODES, SIZES } from '../exit.ts'
import { argument, DEFAULT_PORT, patternOption, sizeOption } from '../options.ts'
import { withWork } from '../run.ts'
import { dmaBufSizeOption, parseDmaBuf, parseQueues } from './parse.ts'

const HELP = `
Prepares the card, binds memory to the queues, and receives into it. --pattern and --sha256 map the
memory to look at it. Without them the host never sees the payload. Takes CAP_NET_ADMIN.

Examples:
  # netmem devmem recv eth0 --queues 2,3 --once --sha256          elsewhere: netmem send HOST:5201 FILE
  # netmem devmem recv eth0 --queues 3 --once --pattern 1 --linear refuse

${SIZES}

${EXIT_CODES}
Without --once it serves until a signal ends it.`

export function devmemRecvCommand(): Command {
  const command = new Command('recv')
    .description('receive into device memory; verify or count the bytes')
    .argument('<interface>', 'name of the network interface')
    .requiredOption('--queues <list>', 'RX queues, such as 2,3', parseQueues)
    .option(
      '--port <number>',
      'TCP port',
      argument((text) => parsePort(text, 1)),
      DEFAULT_PORT,
    )
    .option('--host <address>', 'address of this machine', '0.0.0.0')
    .addOption(dmaBufSizeOption('memory to bind'))
    .option('--dmabuf <kind>', 'udmabuf, or heap:NAME', parseDmaBuf, 'udmabuf')
    .addOption(
      new Option('--linear <how>', 'payload that comes in host memory: take it, or refuse it')
        .choices(['take', 'refuse'])
        .default('take'),
    )
    .addOption(patternOption('verify the bytes against the pattern of this seed'))
    .addOption(
      sizeOption(
        '--bytes <size>',
        'fail unless there are exactly as many bytes (default: not counted)',
      ),
    )
    .option('--sha256', 'print their SHA-256')
    .option('--once', 'end after the first connection')
    .addHelpText('after', HELP)
  return withWork(command, async () => (await import('./receive.ts')).receiveDevmem)
}
