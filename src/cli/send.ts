/** `netmem send`: a file, stdin or a pattern, over TCP to any receiver. */

import { Command } from 'commander'

import { EXIT_CODES, SIZES } from './exit.ts'
import { patternOption, sizeOption } from './options.ts'
import { withWork } from './run.ts'

const HELP = `
It ends when the peer has closed its side, as receivers do that have got everything. When the source
fails or is shorter than it was, the receiver gets a reset, and no end.

Examples:
  $ netmem send 192.0.2.7:5201 disk.img
  $ tar c . | netmem send '[2001:db8::7]:5201'
  $ netmem send localhost:5201 --bytes 10GB --pattern 7

${SIZES}

${EXIT_CODES}`

export function sendCommand(): Command {
  const command = new Command('send')
    .description('send a file, stdin or a pattern over TCP to any receiver')
    .argument('<host:port>', 'where to; IPv6 in brackets: [::1]:5201')
    .argument('[file]', 'what; - or nothing is stdin')
    .addOption(sizeOption('--bytes <size>', 'send as many bytes of a pattern'))
    .addOption(patternOption('the seed of that pattern, 1 by default'))
    .addHelpText('after', HELP)
  return withWork(command, async () => (await import('./send/send.ts')).send)
}
