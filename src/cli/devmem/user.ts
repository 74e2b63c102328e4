/** Users by name. */

import { readFileSync } from 'node:fs'
import { usage } from '../exit.ts'

/** Returns the number of a user who is named by number, or by a name in passwd(5). */
export function uidOf(user: string): number {
  if (/^\d+$/.test(user)) return Number(user)
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid] = line.split(':')
    if (name === user && uid !== undefined) return Number(uid)
  }
  throw usage(`There is no user ${user} in /etc/passwd; a number will do.`)
}
