/** `netmem devmem undo`: restores a card that a killed `netmem devmem prepare` has left. */

import { Command } from 'commander'
import { withWork } from '../run.ts'

const HELP = `
A prepare that ends by a signal undoes its changes by itself. This is for one that was killed. It
restores header split, flow rules and the RSS table as they were.

Example:
  # netmem devmem undo eth0`

export function undoCommand(): Command {
  return withWork(
    new Command('undo')
      .description('restore a card that a killed prepare has left')
      .argument('<interface>', 'name of the network interface')
      .addHelpText('after', HELP),
    async () => (await import('./restore-card.ts')).restoreCardOf,
  )
}
