/** `netmem devmem`: prepares a network card for devmem TCP, and hands its memory to other processes. */

import { Command } from 'commander'
import { prepareCommand } from './devmem/prepare.ts'
import { undoCommand } from './devmem/undo.ts'
import { EXIT_CODES } from './exit.ts'

const HELP = `
Examples:
  # netmem devmem prepare eth0 --queues 2,3 --port 5201 --socket /run/netmem/devmem.sock --user app
  # netmem devmem undo eth0                              after a prepare that was killed

${EXIT_CODES}`

export function devmemCommand(): Command {
  return new Command('devmem')
    .description("the kernel's Device Memory TCP: prepare a card, or undo that")
    .addCommand(prepareCommand())
    .addCommand(undoCommand())
    .addHelpText('after', HELP)
}
