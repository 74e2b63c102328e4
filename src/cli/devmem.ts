/** `netmem devmem`: receives and sends by the kernel's devmem TCP, and prepares network cards for it. */

import { Command } from 'commander'
import { prepareCommand } from './devmem/prepare.ts'
import { devmemRecvCommand } from './devmem/recv.ts'
import { devmemSendCommand } from './devmem/send.ts'
import { undoCommand } from './devmem/undo.ts'
import { EXIT_CODES } from './exit.ts'

const HELP = `
Examples:
  # netmem devmem recv eth0 --queues 2,3 --once --sha256     elsewhere: netmem send HOST:5201 FILE
  # netmem devmem send eth0 192.0.2.7:5201 --bytes 1GB       there: netmem recv --pattern 1
  # netmem devmem prepare eth0 --queues 2,3 --port 5201 --socket /run/netmem/devmem.sock --user app
  # netmem devmem undo eth0                              after a prepare that was killed

${EXIT_CODES}`

export function devmemCommand(): Command {
  return new Command('devmem')
    .description("the kernel's Device Memory TCP: receive, send, prepare a card, or undo that")
    .addCommand(prepareCommand())
    .addCommand(devmemRecvCommand())
    .addCommand(devmemSendCommand())
    .addCommand(undoCommand())
    .addHelpText('after', HELP)
}
