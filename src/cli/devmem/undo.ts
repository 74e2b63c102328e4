/** `netmem devmem undo`: restores a card that a killed `netmem devmem prepare` has left. */

import { Command } from 'commander'
import { withJson } from '../options.ts'
import { run } from '../run.ts'

const HELP = `
A prepare that ends by a signal undoes its changes by itself. This is for one that was killed. It
restores header split, flow rules and the RSS table as they were.

Example:
  # netmem devmem undo eth0`

export function undoCommand(): Command {
  const command = new Command('undo')
    .description('restore a card that a killed prepare has left')
    .argument('<interface>', 'name of the network interface')
    .addHelpText('after', HELP)
  return withJson(command).action((name: string, options: { readonly json?: true }) =>
    run('devmem undo', { json: options.json === true }, async (output) => {
      const { ifindexOf } = await import('./interface.ts')
      const { undoQueues } = await import('../../linux/devmem/prepare-queues.ts')
      await undoQueues({ ifindex: await ifindexOf(name) })
      output.result(`${name}: settings restored`)
      return { report: { interface: name } }
    }),
  )
}
