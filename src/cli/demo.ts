/**
 * `netmem demo`: compares receivers on this machine. One process sends. Each receiver runs in a
 * separate process, one after another.
 */

import { Command } from 'commander'

import { EXIT_CODES, SIZES } from './exit.ts'
import { argument, parseCount, seedOption, sizeOption, withPoolOptions } from './options.ts'
import { withWork } from './run.ts'
import { parseSize } from './size.ts'

const HELP = `
The bytes are a pseudo-random pattern, which every receiver compares whole. Ratios are to the first
receiver; memory is what the receiver's process had resident at its peak. One wrong byte, and the
demo fails: try --corrupt. netmem's receivers use wakeBatching of netmem/linux, where it can be had.

Examples:
  $ netmem demo
  $ netmem demo --bytes 10GB --rounds 5 --json
  $ netmem demo --bytes 512MiB --concat

${SIZES}

${EXIT_CODES}`

export function demoCommand(): Command {
  const command = new Command('demo')
    .description("compare Node's data events, a page pool and receiveInto over loopback TCP")
    .addOption(sizeOption('--bytes <size>', 'what each receiver gets in each round', 2 * 2 ** 30))
    .option(
      '--rounds <number>',
      'figures are medians over these: 1 to 99',
      argument(parseCount(1, 99)),
      2,
    )
    .addOption(seedOption('the seed of the pattern').default(1))
    .addOption(sizeOption('--destination <size>', 'what receiveInto fills', 64 * 2 ** 20))
    .option('--concat', 'also keep everything: Buffer.concat against one destination for all of it')
    .option(
      '--corrupt <offset>',
      'flip a bit there, to see it noticed: less than --bytes',
      argument(parseSize),
    )
    .addHelpText('after', HELP)
  return withWork(withPoolOptions(command), async () => (await import('./demo/compare.ts')).compare)
}
