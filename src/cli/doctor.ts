/** `netmem doctor`: features of this machine, and remedies for missing ones. */

import { Command } from 'commander'

import { EXIT_CODES } from './exit.ts'
import { withWork } from './run.ts'

const HELP = `
It changes nothing. Findings stand below what of netmem they are for, and are ok, warn (it works,
less well than it could) or missing; nothing that is missing keeps netmem from receiving into host
memory, save an old Node.js. The kernel is asked by netlink, with requests that change nothing: as root it
answers more.

Example:
  $ netmem doctor

${EXIT_CODES}
Findings do not make it fail.`

export function doctorCommand(): Command {
  return withWork(
    new Command('doctor')
      .description('say what this machine offers, and what to do about what is missing')
      .addHelpText('after', HELP),
    async () => (await import('./doctor/examine.ts')).examine,
  )
}
