/** `netmem iperf3`: an iperf3 server for TCP that receives into pages or device memory. */

import { Command } from 'commander'

import { parseDmaBuf, parseQueues } from './devmem/parse.ts'
import { EXIT_CODES, SIZES } from './exit.ts'
import { withListenOptions } from './options.ts'
import { withWork } from './run.ts'

const HELP = `
One test at a time, as iperf3 does; UDP (-u), -R and --bidir are refused, and the client says so.

With --memory devmem payload lands in device memory by the kernel's devmem TCP. It needs --interface and
--queues, and CAP_NET_ADMIN: the card is prepared, and --pool is bound to the queues. Control connections
stay in pages, on the other queues. Each data connection gets a rule that steers it to a bound queue.

Examples:
  $ netmem iperf3 --host 0.0.0.0          then, elsewhere: iperf3 -c HOST -t 10 -P 2
  # netmem iperf3 --host 0.0.0.0 --memory devmem --interface eth0 --queues 2,3

${SIZES}

${EXIT_CODES}
Without --once it serves until a signal ends it.`

export function iperf3Command(): Command {
  const command = new Command('iperf3')
    .description('serve iperf3 clients, over TCP, and receive what they send into pages')
    .addHelpText('after', HELP)
  withListenOptions(command, 'test', ['devmem'])
    .option('--interface <name>', 'network interface, for --memory devmem')
    .option('--queues <list>', 'RX queues, such as 2,3, for --memory devmem', parseQueues)
    .option(
      '--dmabuf <kind>',
      'udmabuf (the default), or heap:NAME, for --memory devmem',
      parseDmaBuf,
    )
  return withWork(command, async () => (await import('./iperf3/serve.ts')).serveTests)
}
