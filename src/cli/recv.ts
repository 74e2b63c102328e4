/** `netmem recv`: takes raw bytes over TCP from any sender. */

import { Command } from 'commander'

import { EXIT_CODES, SIZES } from './exit.ts'
import { patternOption, sizeOption, withListenOptions } from './options.ts'
import { withWork } from './run.ts'

const HELP = `
Each connection gets a summary: bytes, seconds, rate, how it ended, the pool's counters. One that
breaks, or brings other bytes than --pattern and --bytes say, counts as failed. A file is written
under another name, and takes its place when the connection has ended well and every check is right.

Examples:
  $ netmem recv --once --out copy.iso --sha256       then, here too: nc -N 127.0.0.1 5201 < file.iso
  $ netmem recv --once --pattern 7 --bytes 10GB      netmem send 127.0.0.1:5201 --pattern 7 --bytes 10GB
  $ netmem recv --once --host 0.0.0.0 --out - | tar x    elsewhere: tar c . | socat -u - TCP:HOST:5201

${SIZES}

${EXIT_CODES}
Without --once it serves until a signal ends it.`

export function recvCommand(): Command {
  const command = new Command('recv')
    .description('take raw bytes over TCP from any sender; write, verify or count them')
    .option(
      '--out <file>',
      'write them there, and make its folders; - is stdout, with the summary on stderr (default: nowhere)',
    )
    .addOption(patternOption('verify them against the pattern of this seed'))
    .addOption(
      sizeOption(
        '--bytes <size>',
        'fail unless there are exactly as many bytes (default: not counted)',
      ),
    )
    .option('--sha256', 'print their SHA-256')
    .addHelpText('after', HELP)
  return withWork(
    withListenOptions(command, 'connection'),
    async () => (await import('./recv/receive.ts')).receive,
    ({ out }) => ({ dataOnStdout: out === '-' }),
  )
}
