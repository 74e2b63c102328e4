/** Programs of the host that the guest is made with: apt, dpkg, tar, xz. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

/** The end of a program. */
export interface Ended {
  readonly code: number
  readonly output: string
  readonly errors: string
}

/** Runs a program with messages in English. The exit code is a value, a missing program is not. */
export async function run(
  command: string,
  args: readonly string[],
  { cwd }: { readonly cwd?: string } = {},
): Promise<Ended> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    ...(cwd === undefined ? {} : { cwd }),
  })
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause
    throw new Error(`The guest for tests needs the program ${command}, which is not here.`, {
      cause,
    })
  })
  return { code: typeof code === 'number' ? code : 1, output, errors }
}

/** Runs a program and returns what it prints. Throws if it fails. */
export async function outputOf(
  command: string,
  args: readonly string[],
  options?: { readonly cwd?: string },
): Promise<string> {
  const { code, output, errors } = await run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${errors}`)
  return output
}
