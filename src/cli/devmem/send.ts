/** `netmem devmem send`: sends out of device memory, without a copy by the kernel. */

import { Command } from 'commander'
import { EXIT_CODES, SIZES } from '../exit.ts'
import { patternOption, sizeOption } from '../options.ts'
import { withWork } from '../run.ts'
import { dmaBufSizeOption, parseDmaBuf } from './parse.ts'

const HELP = `
Fills the memory with a file, stdin or a pattern and sends it by the interface, as much at a time as fits. It
ends when the peer has closed its side. Takes no right.

Examples:
  $ netmem devmem send eth0 192.0.2.7:5201 disk.img
  $ netmem devmem send eth0 192.0.2.7:5201 --bytes 1GB --pattern 7
  $ netmem devmem send eth0 192.0.2.7:5201 --bytes 64MiB --pattern ncdevmem     there: ncdevmem -l -v 7

${SIZES}

${EXIT_CODES}`

export function devmemSendCommand(): Command {
  const command = new Command('send')
    .description('send a file, stdin or a pattern out of device memory')
    .argument('<interface>', 'name of the network interface')
    .argument('<host:port>', 'where to; IPv6 in brackets: [2001:db8::7]:5201')
    .argument('[file]', 'what; - or nothing is stdin')
    .addOption(sizeOption('--bytes <size>', 'send as many bytes of a pattern'))
    .addOption(patternOption('the seed of that pattern, 1 by default'))
    .addOption(dmaBufSizeOption('memory to send from'))
    .option('--dmabuf <kind>', 'udmabuf, or heap:NAME', parseDmaBuf, 'udmabuf')
    .addHelpText('after', HELP)
  return withWork(command, async () => (await import('./send-out.ts')).sendOut)
}
