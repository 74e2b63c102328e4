/** `netmem pools`: the kernel's page pools, and the pools that netmem processes offer. */

import { Command } from 'commander'

import { EXIT_CODES } from './exit.ts'
import { argument, parseCount } from './options.ts'
import { withWork } from './run.ts'

const HELP = `
The kernel lists the pools of drivers that belong to an interface of the network namespace (Linux 6.8
and newer, through koffi). Programs that use netmem are listed once they call offerPools() of
netmem/observe: who holds their memory, and how long the oldest is out. Root sees those of all users.

A pool that its driver has given up lasts until its last memory comes back. --watch shows whether that
comes back slowly (a slow consumer) or not at all. The kernel's log warns of a "stalled pool shutdown" if it
cannot list such a pool, so the warning is never about one of these.

Examples:
  $ netmem pools
  $ netmem pools --watch --netns /run/netns/blue

${EXIT_CODES}`

export function poolsCommand(): Command {
  const command = new Command('pools')
    .description("list the kernel's page pools, and those of netmem processes")
    .option('--watch', 'look again and again, and show how fast the counters run')
    .option(
      '--interval <seconds>',
      'between two looks, 1 to 3600',
      argument(parseCount(1, 3600)),
      1,
    )
    .option('--netns <file>', 'network namespace, such as /run/netns/blue')
    .addHelpText('after', HELP)
  return withWork(command, async () => (await import('./pools/show.ts')).showPools)
}
