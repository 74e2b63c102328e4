/** `netmem replay`: runs a capture through the user-space stack and hashes its flows. */

import { Command, Option } from 'commander'

import { EXIT_CODES } from './exit.ts'
import { argument, parseCount } from './options.ts'
import { withWork } from './run.ts'

const MAX_QUEUES = 64

const HELP = `
CAPTURE is a pcap or pcapng file of Ethernet frames. They go through link, NIC, driver and skbs of
the user-space stack; each direction of each flow is put in order, and its stream hashed: on the
device where the payload lands in device memory.

Examples:
  $ netmem replay capture.pcap
  $ netmem replay capture.pcapng --memory device --queues 4 --json
  $ netmem replay capture.pcap --memory device --out seen.pcapng     then: tshark -r seen.pcapng

${EXIT_CODES}`

export function replayCommand(): Command {
  const command = new Command('replay')
    .description('replay a capture through the user-space stack; what landed where, and its hash')
    .argument('<capture>', 'a pcap or pcapng file')
    .addOption(
      new Option('--memory <kind>', 'what payload lands in')
        .choices(['page', 'device'])
        .default('page'),
    )
    .option(
      '--queues <number>',
      'flows are spread over them: 1 to 64',
      argument(parseCount(1, MAX_QUEUES)),
      1,
    )
    .addOption(
      new Option('--header-split <switch>', 'whether the NIC splits headers from payload')
        .choices(['on', 'off'])
        .default('on'),
    )
    .addOption(
      new Option('--checksums <what>', 'whether segments with a wrong checksum are left out')
        .choices(['verify', 'ignore'])
        .default('verify'),
    )
    .option('--out <file>', 'write what the host sees there, as pcapng (default: nowhere)')
    .addHelpText('after', HELP)
  return withWork(command, async () => (await import('./replay/show.ts')).show)
}
